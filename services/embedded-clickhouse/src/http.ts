import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { newOperationId, type Engine, type Operation } from './engine.ts'
import { literal, probeStatement, readStatement, type Statement } from './statement.ts'

export interface HttpOptions {
  readonly engine: Engine
  readonly user: string
  readonly password: string
}

/** Formats whose chunks stand alone; the others are made whole. */
const streamable = new Set(['JSONEachRow', 'JSONCompactEachRow', 'CSV', 'TSV', 'TabSeparated', 'RowBinary', 'Native'])
/** Parameters of the protocol rather than settings of the engine. */
const protocolNames = new Set([
  'query',
  'database',
  'user',
  'password',
  'query_id',
  'default_format',
  'session_id',
  'session_timeout',
  'session_check',
  'role',
  'wait_end_of_query',
  'send_progress_in_http_headers',
  'http_headers_progress_interval_ms',
  'enable_http_compression',
  'client_protocol_version',
  'compress',
  'decompress',
  'quota_key',
  'buffer_size',
])
const maxStatementBytes = 16 * 1024 * 1024

class EngineError extends Error {
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

const same = (left: string, right: string): boolean => {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(left), digest(right))
}

function credentialsOf(request: IncomingMessage, url: URL): { user: string; password: string } {
  const { authorization } = request.headers
  if (authorization?.startsWith('Basic ')) {
    const text = Buffer.from(authorization.slice(6), 'base64').toString('utf8')
    const colon = text.indexOf(':')
    return { user: text.slice(0, colon), password: text.slice(colon + 1) }
  }
  const header = (name: string): string | undefined => {
    const value = request.headers[name]
    return typeof value === 'string' ? value : undefined
  }
  return {
    user: header('x-clickhouse-user') ?? url.searchParams.get('user') ?? 'default',
    password: header('x-clickhouse-key') ?? url.searchParams.get('password') ?? '',
  }
}

/** An engine's error as the server prints it. */
function printError(error: unknown, version: string): { code: number; status: number; text: string } {
  const message = (error instanceof Error ? error.message : String(error)).trim()
  const code = error instanceof EngineError ? error.code : Number(/Code: (\d+)/.exec(message)?.[1] ?? 1001)
  const start = message.indexOf('Code: ')
  const body = start >= 0 ? message.slice(start) : `Code: ${code}. DB::Exception: ${message} (STD_EXCEPTION)`
  const status =
    code === 516
      ? 403
      : code === 60 || code === 81
        ? 404
        : code === 159
          ? 408
          : code === 241 || code === 1001
            ? 500
            : 400
  return { code, status, text: `${body.replace(/ ?\(version [^)]*\)/, '')} (version ${version})\n` }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const source = request.headers['content-encoding'] === 'gzip' ? request.pipe(createGunzip()) : request
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of source as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxStatementBytes)
      throw new EngineError(62, 'Code: 62. DB::Exception: The statement is too large. (SYNTAX_ERROR)')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Fields of a multipart form, as clients send long parameters. */
function readForm(body: Buffer, contentType: string): Map<string, string> {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1]
  const fields = new Map<string, string>()
  if (!boundary) return fields
  for (const part of body.toString('utf8').split(`--${boundary}`)) {
    const split = part.indexOf('\r\n\r\n')
    const name = split < 0 ? undefined : /name="([^"]+)"/i.exec(part.slice(0, split))?.[1]
    if (name !== undefined) fields.set(name, part.slice(split + 4).replace(/\r\n$/, ''))
  }
  return fields
}

/** Splits the protocol's parameters from settings and bound parameters. */
function readOperation(url: URL, form: ReadonlyMap<string, string>): Operation {
  const settings = new Map<string, string>()
  const parameters = new Map<string, string>()
  const take = (name: string, value: string): void => {
    if (!/^\w+$/.test(name))
      throw new EngineError(115, `Code: 115. DB::Exception: Unknown setting ${JSON.stringify(name)}. (UNKNOWN_SETTING)`)
    if (readStatement(name).reachesOut !== null)
      throw new EngineError(497, `Code: 497. DB::Exception: ${name} is not allowed here. (ACCESS_DENIED)`)
    if (name.startsWith('param_')) parameters.set(name.slice(6), value)
    else if (!protocolNames.has(name)) settings.set(name, value)
  }
  for (const [name, value] of url.searchParams) take(name, value)
  for (const [name, value] of form) take(name, value)
  const database = url.searchParams.get('database') ?? 'footfall'
  if (!/^\w+$/.test(database))
    throw new EngineError(81, `Code: 81. DB::Exception: Database ${database} does not exist. (UNKNOWN_DATABASE)`)
  return { id: url.searchParams.get('query_id') ?? newOperationId(), database, settings, parameters }
}

/** ClickHouse's HTTP interface over the embedded engine, for one user on loopback. */
export function createHttpServer(options: HttpOptions): Server {
  const { engine } = options

  const respond = async (
    request: IncomingMessage,
    response: ServerResponse,
    operation: Operation,
    format: string,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<void> => {
    const iterator = chunks[Symbol.asyncIterator]()
    // The first chunk is pulled before the status line: most errors come before any output.
    let chunk = await iterator.next()
    const gzip =
      /\bgzip\b/.test(request.headers['accept-encoding'] ?? '') &&
      new URL(request.url ?? '/', 'http://x').searchParams.get('enable_http_compression') === '1'
    const tag = randomBytes(8).toString('hex')
    response.writeHead(200, {
      'content-type': format.startsWith('JSON') ? 'application/x-ndjson; charset=UTF-8' : 'text/plain; charset=UTF-8',
      'x-clickhouse-query-id': operation.id,
      'x-clickhouse-format': format,
      'x-clickhouse-timezone': 'UTC',
      'x-clickhouse-server-display-name': 'footfall-embedded',
      'x-clickhouse-summary':
        '{"read_rows":"0","read_bytes":"0","written_rows":"0","written_bytes":"0","total_rows_to_read":"0","result_rows":"0","result_bytes":"0","elapsed_ns":"0"}',
      'x-clickhouse-exception-tag': tag,
      ...(gzip ? { 'content-encoding': 'gzip' } : {}),
    })
    const frame = (error: unknown): string => {
      const { text } = printError(error, engine.version)
      return `\r\n__exception__\r\n${tag}\r\n${text}${Buffer.byteLength(text)} ${tag}\r\n__exception__\r\n`
    }
    const body = async function* (): AsyncGenerator<Uint8Array | string> {
      try {
        for (; !chunk.done; chunk = await iterator.next()) yield chunk.value
      } catch (error) {
        yield frame(error)
      } finally {
        await iterator.return?.()
      }
    }
    await (gzip ? pipeline(body(), createGzip({ level: 1 }), response) : pipeline(body(), response))
  }

  const runStatement = (
    request: IncomingMessage,
    response: ServerResponse,
    operation: Operation,
    statement: Statement,
    { fallback, waitsForEnd }: { fallback: string; waitsForEnd: boolean },
  ): Promise<void> => {
    const format = statement.format ?? fallback
    // The engine streams nothing else, and plans what it streams on this process's only thread: whoever waits for the end
    // anyway is served beside others.
    const isStreamed = ['SELECT', 'WITH'].includes(statement.verb) && !waitsForEnd
    const lane = statement.sql === probeStatement ? 'probe' : 'query'
    return engine.run(lane, operation, async (session) => {
      const chunks = async function* (): AsyncGenerator<Uint8Array> {
        if (isStreamed && streamable.has(format)) {
          const stream = session.queryStream(statement.sql, { format })
          try {
            for await (const part of stream) yield Buffer.from(part.raw())
          } finally {
            stream.cancel()
          }
        } else {
          const bytes = (await session.queryAsync(statement.sql, { format })).bytes()
          if (bytes.length > 0) yield Buffer.from(bytes)
        }
      }
      await respond(request, response, operation, format, chunks())
    })
  }

  /** An insert's rows go to a file first: data bytes never become SQL. */
  const runInsert = async (
    request: IncomingMessage,
    response: ServerResponse,
    operation: Operation,
    statement: Statement,
  ): Promise<void> => {
    const file = join(engine.spoolDirectory, randomUUID())
    try {
      await pipeline(request, createWriteStream(file, { mode: 0o600 }))
      if ((await stat(file)).size > 0) {
        const match = /^(\s*INSERT\s+INTO\s[\s\S]*?)(\s+SETTINGS\s[\s\S]*?)?\s+FORMAT\s+(\w+)\s*$/i.exec(statement.sql)
        if (!match)
          throw new EngineError(
            62,
            'Code: 62. DB::Exception: Expected INSERT INTO … FORMAT … with rows in the body. (SYNTAX_ERROR)',
          )
        const compression = request.headers['content-encoding'] === 'gzip' ? " COMPRESSION 'gzip'" : ''
        const sql = `${match[1]} FROM INFILE ${literal(file)}${compression}${match[2] ?? ''} FORMAT ${match[3]}`
        await engine.run('insert', operation, (session) => session.queryAsync(sql))
      }
      const none = async function* (): AsyncGenerator<Uint8Array> {}
      await respond(request, response, operation, 'TabSeparated', none())
    } finally {
      await rm(file, { force: true })
    }
  }

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://loopback')
    if (url.pathname === '/ping') return void response.end('Ok.\n')
    const { user, password } = credentialsOf(request, url)
    if (!(same(user, options.user) && same(password, options.password))) {
      throw new EngineError(
        516,
        `Code: 516. DB::Exception: ${user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)`,
      )
    }
    const inUrl = url.searchParams.get('query')
    const type = request.headers['content-type'] ?? ''
    const isForm = type.startsWith('multipart/form-data')
    const form = isForm ? readForm(await readBody(request), type) : new Map<string, string>()
    const operation = readOperation(url, form)
    const urlStatement = inUrl === null ? null : readStatement(inUrl)
    const hasRows =
      request.method === 'POST' && !isForm && urlStatement?.verb === 'INSERT' && urlStatement.format !== null
    const statement = hasRows
      ? urlStatement
      : readStatement(
          `${inUrl ?? ''}${isForm ? (form.get('query') ?? '') : (await readBody(request)).toString('utf8')}`,
        )
    if (statement.isMany)
      throw new EngineError(
        62,
        'Code: 62. DB::Exception: Syntax error (Multi-statements are not allowed). (SYNTAX_ERROR)',
      )
    if (statement.isUnclear)
      throw new EngineError(
        62,
        'Code: 62. DB::Exception: Syntax error (An open quote, or quotes or comments of a kind that is not taken here: use plain quotes, -- and /* */). (SYNTAX_ERROR)',
      )
    if (statement.reachesOut !== null) {
      throw new EngineError(
        497,
        `Code: 497. DB::Exception: ${statement.reachesOut} is not allowed here. (ACCESS_DENIED)`,
      )
    }
    response.on('close', () => {
      if (!response.writableFinished) engine.kill(operation.id)
    })
    const fallback =
      url.searchParams.get('default_format') ??
      (typeof request.headers['x-clickhouse-format'] === 'string'
        ? request.headers['x-clickhouse-format']
        : 'TabSeparated')
    await (hasRows
      ? runInsert(request, response, operation, statement)
      : runStatement(request, response, operation, statement, {
          fallback,
          waitsForEnd: url.searchParams.get('wait_end_of_query') === '1',
        }))
  }

  return createServer({ keepAliveTimeout: 30_000, maxHeaderSize: 1024 * 1024 }, (request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (response.headersSent) return response.destroy()
      const { code, status, text } = printError(error, engine.version)
      request.resume()
      response
        .writeHead(status, { 'x-clickhouse-exception-code': String(code), 'content-type': 'text/plain; charset=UTF-8' })
        .end(text)
    })
  })
}
