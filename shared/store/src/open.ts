import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { ClickHouseError, ClickHouseLogLevel, createClient, type ClickHouseClient } from '@clickhouse/client'
import { PipelineError } from '@footfall/contracts/errors'

export interface StoreOptions {
  /** http://host:port; a path names the database. */
  readonly url: string
  readonly user: string
  readonly password: string
  /** Default `footfall`. */
  readonly database?: string
  /** A query or insert that takes longer is given up; default 30,000. Commands have an hour: see `command`. */
  readonly requestTimeoutMs?: number
}

export type QueryParameters = Record<string, string | number | boolean | readonly (string | number)[]>

/** ClickHouse over HTTP with our settings pinned: a server and the embedded engine answer alike. */
export interface Store {
  readonly client: ClickHouseClient
  /** Runs a SELECT; rows as objects, 64-bit integers as text. @throws STORE_UNAVAILABLE, STORE_REFUSED */
  query<Row>(sql: string, parameters?: QueryParameters, settings?: Record<string, string | number>): Promise<Row[]>
  /** As `query`, of every row that there is: it may take an hour. */
  scan<Row>(sql: string, parameters?: QueryParameters): Promise<Row[]>
  /** Runs a statement without a result. It may take an hour: folds, deletions and backups grow with the store. */
  command(sql: string, parameters?: QueryParameters, settings?: Record<string, string | number>): Promise<void>
  /**
   * Inserts rows given as arrays in the order of `columns`, as one block.
   * @param token names exactly this content: an insert under a token that the table remembers changes nothing. null: the
   * rows go in whatever the table remembers, also of equal ones.
   */
  insert(table: string, columns: readonly string[], rows: readonly unknown[][], token: string | null): Promise<void>
  /** The rows of a SELECT as the engine's own bytes, for `take` of another store. */
  give(sql: string, parameters?: QueryParameters): Promise<Readable>
  /** Inserts what `give` of another store gives; what comes at once may be stored in parts when it fails. */
  take(table: string, columns: string, rows: Readable): Promise<void>
  ping(): Promise<boolean>
  close(): Promise<void>
}

const commandTimeoutMs = 3_600_000

/** Differs between versions or servers, so none is left to a default. */
const pinnedSettings = {
  async_insert: 0,
  deduplicate_blocks_in_dependent_materialized_views: 1,
  output_format_json_quote_64bit_integers: 1,
  date_time_input_format: 'best_effort',
  mutations_sync: '2',
  max_insert_block_size: '1048449',
  join_use_nulls: 0,
} as const

/** Errors of the rows themselves: the same rows fail again for ever. */
const rowErrorTypes = new Set([
  'CANNOT_PARSE_INPUT_ASSERTION_FAILED',
  'CANNOT_PARSE_TEXT',
  'CANNOT_PARSE_NUMBER',
  'CANNOT_PARSE_DATE',
  'CANNOT_PARSE_DATETIME',
  'CANNOT_PARSE_UUID',
  'CANNOT_PARSE_QUOTED_STRING',
  'CANNOT_PARSE_ESCAPE_SEQUENCE',
  'CANNOT_PARSE_BOOL',
  'CANNOT_READ_ALL_DATA',
  'CANNOT_READ_ARRAY_FROM_TEXT',
  'CANNOT_READ_MAP_FROM_TEXT',
  'CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN',
  'ARGUMENT_OUT_OF_BOUND',
  'DECIMAL_OVERFLOW',
  'INCORRECT_DATA',
  'TYPE_MISMATCH',
  'UNKNOWN_ELEMENT_OF_ENUM',
  'VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE',
  'TOO_LARGE_STRING_SIZE',
  'VIOLATED_CONSTRAINT',
])

/** Errors of the statement: trying again does not help, but no row is at fault. */
const statementErrorTypes = new Set([
  'SYNTAX_ERROR',
  'UNKNOWN_TABLE',
  'UNKNOWN_DATABASE',
  'UNKNOWN_IDENTIFIER',
  'UNKNOWN_FUNCTION',
  'NOT_FOUND_COLUMN_IN_BLOCK',
  'NO_SUCH_COLUMN_IN_TABLE',
  'NUMBER_OF_ARGUMENTS_DOESNT_MATCH',
  'ILLEGAL_TYPE_OF_ARGUMENT',
  'ILLEGAL_AGGREGATION',
  'AMBIGUOUS_COLUMN_NAME',
  'UNKNOWN_QUERY_PARAMETER',
  'BAD_QUERY_PARAMETER',
  'BAD_ARGUMENTS',
  'AUTHENTICATION_FAILED',
  'ACCESS_DENIED',
  'UNKNOWN_SETTING',
])

/** True when the store refused the rows of an insert, so that splitting the batch can find the bad one. */
export function isRowRefusal(error: unknown): boolean {
  return (
    error instanceof PipelineError &&
    error.code === 'STORE_REFUSED' &&
    error.cause instanceof ClickHouseError &&
    rowErrorTypes.has(error.cause.type ?? '')
  )
}

function toPipelineError(error: unknown): PipelineError {
  if (error instanceof PipelineError) return error
  const detail = error instanceof Error ? error.message.slice(0, 500) : String(error)
  if (
    error instanceof ClickHouseError &&
    (rowErrorTypes.has(error.type ?? '') || statementErrorTypes.has(error.type ?? ''))
  ) {
    return new PipelineError('STORE_REFUSED', detail, { cause: error })
  }
  return new PipelineError('STORE_UNAVAILABLE', detail, { cause: error })
}

/** Opens the store; connects at the first use. */
export function openStore(options: StoreOptions): Store {
  const url = new URL(options.url)
  const database = options.database ?? (url.pathname.replace(/^\//, '') || 'footfall')
  const connect = (requestTimeoutMs: number): ClickHouseClient =>
    createClient({
      url: url.origin,
      username: options.user,
      password: options.password,
      database,
      request_timeout: requestTimeoutMs,
      // More than the consumer stores side by side: an insert leaves when it is asked for, or is no longer of its claim.
      max_open_connections: 32,
      compression: { request: false, response: false },
      use_multipart_params_auto: true,
      // Its own log repeats every error that is thrown to us.
      log: { level: ClickHouseLogLevel.OFF },
      clickhouse_settings: pinnedSettings,
    })
  const client = connect(options.requestTimeoutMs ?? 30_000)
  // The client knows a timeout for itself, none for a call.
  const commandClient = connect(commandTimeoutMs)
  const ask = async <Row>(
    from: ClickHouseClient,
    sql: string,
    parameters?: QueryParameters,
    settings?: Record<string, string | number>,
  ): Promise<Row[]> => {
    try {
      const result = await from.query({
        query: sql,
        format: 'JSONEachRow',
        ...(parameters ? { query_params: parameters } : {}),
        // Rows are given whole: none is worth sending before the last is known, and an error has its status.
        clickhouse_settings: { ...settings, wait_end_of_query: 1 },
      })
      return await result.json<Row>()
    } catch (error) {
      throw toPipelineError(error)
    }
  }
  return {
    client,
    query: (sql, parameters, settings) => ask(client, sql, parameters, settings),
    scan: (sql, parameters) => ask(commandClient, sql, parameters),
    async command(sql, parameters, settings) {
      try {
        await commandClient.command({
          query: sql,
          ...(parameters ? { query_params: parameters } : {}),
          ...(settings ? { clickhouse_settings: settings } : {}),
        })
      } catch (error) {
        throw toPipelineError(error)
      }
    },
    async insert(table, columns, rows, token) {
      if (rows.length === 0) return
      try {
        await client.insert({
          table,
          columns: columns as [string, ...string[]],
          values: rows,
          format: 'JSONCompactEachRow',
          // Without a token the engine takes the content for one; how that is switched off depends on its version.
          clickhouse_settings: { insert_deduplication_token: token ?? randomUUID() },
        })
      } catch (error) {
        throw toPipelineError(error)
      }
    },
    async give(sql, parameters) {
      try {
        const query = `${sql} FORMAT Native`
        const result = await commandClient.exec({ query, ...(parameters ? { query_params: parameters } : {}) })
        return result.stream
      } catch (error) {
        throw toPipelineError(error)
      }
    },
    async take(table, columns, rows) {
      try {
        const query = `INSERT INTO ${table} (${columns}) FORMAT Native`
        // As in insert: rows that equal others are rows all the same.
        const clickhouse_settings = { insert_deduplication_token: randomUUID() }
        const result = await commandClient.exec({ query, values: rows, clickhouse_settings })
        await finished(result.stream.resume())
      } catch (error) {
        throw toPipelineError(error)
      }
    },
    async ping() {
      const result = await client.ping()
      return result.success
    },
    async close() {
      await Promise.all([client.close(), commandClient.close()])
    },
  }
}
