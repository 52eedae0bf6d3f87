import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { drainPending, Session } from 'chdb'
import { literal } from './statement.ts'

export interface EngineOptions {
  readonly directory: string
  /** Where BACKUP may write and RESTORE may read. */
  readonly backupsDirectory: string
  readonly memoryBytes: number
  /** How long to wait for another owner of the directory to go; default 30,000. */
  readonly lockWaitMs?: number
}

/** One statement with what belongs to it. */
export interface Operation {
  readonly id: string
  readonly database: string
  readonly settings: ReadonlyMap<string, string>
  readonly parameters: ReadonlyMap<string, string>
}

/** Probes have a lane of their own: a busy engine is not a dead one. */
export type Lane = 'query' | 'insert' | 'probe'

export interface Engine {
  readonly version: string
  readonly spoolDirectory: string
  /** Runs work in a session of its own: settings, parameters and temporary tables cannot leak to the next. */
  run<Result>(lane: Lane, operation: Operation, work: (session: Session) => Promise<Result>): Promise<Result>
  /** Ends a statement that is running. */
  kill(id: string): void
  close(): Promise<void>
}

/** Holds for every session; a statement may set another value for itself. */
const pinned = [
  '--async_insert=0',
  '--output_format_json_quote_64bit_integers=1',
  '--date_time_input_format=best_effort',
  '--mutations_sync=2',
  '--max_query_size=16777216',
  '--session_timezone=UTC',
  '--insert_deduplicate=1',
]

function writeConfig(options: EngineOptions): string {
  const file = join(options.directory, 'engine.xml')
  const escape = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;')
  writeFileSync(
    file,
    `<clickhouse>
 <max_server_memory_usage>${options.memoryBytes}</max_server_memory_usage>
 <mark_cache_size>33554432</mark_cache_size>
 <primary_index_cache_size>33554432</primary_index_cache_size>
 <index_mark_cache_size>8388608</index_mark_cache_size>
 <uncompressed_cache_size>0</uncompressed_cache_size>
 <background_pool_size>2</background_pool_size>
 <background_schedule_pool_size>4</background_schedule_pool_size>
 <max_parts_cleaning_thread_pool_size>2</max_parts_cleaning_thread_pool_size>
 <backups><allowed_path>${escape(options.backupsDirectory)}</allowed_path></backups>
 <merge_tree><old_parts_lifetime>480</old_parts_lifetime></merge_tree>
</clickhouse>
`,
  )
  return file
}

/**
 * The process that holds the directory's lock file; null where the system does not tell. The noted number is believed
 * only of a process whose files cannot be looked at and that is an engine: numbers are given again, in containers soon.
 */
export function findOwner(data: string): number | null {
  const hidden = new Set<number>()
  const processes = existsSync('/proc/self') ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : null
  for (const pid of processes?.map(Number) ?? []) {
    if (pid === process.pid) continue
    try {
      for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
        if (readlinkSync(`/proc/${pid}/fd/${descriptor}`) === join(data, 'status')) return pid
      }
    } catch (error) {
      // Not ours to look at, or ended a moment ago.
      if ((error as NodeJS.ErrnoException).code === 'EACCES') hidden.add(pid)
    }
  }
  try {
    const pid = Number(readFileSync(join(data, 'owner.pid'), 'utf8'))
    const isOwner = processes
      ? hidden.has(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('embedded-clickhouse')
      : pid !== process.pid && process.kill(pid, 0)
    return isOwner ? pid : null
  } catch {
    // No note, or no such process any more.
    return null
  }
}

/** At most `most` at a time; the others wait in order. */
function createLane(most: number): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let running = 0
  const waiting: (() => void)[] = []
  return async (work) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}

/** Opens the engine on its directory. @throws when another process keeps the directory, naming it. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const data = join(options.directory, 'clickhouse')
  const spoolDirectory = join(options.directory, 'spool')
  mkdirSync(data, { recursive: true, mode: 0o700 })
  mkdirSync(options.backupsDirectory, { recursive: true, mode: 0o700 })
  const config = writeConfig(options)
  const deadline = Date.now() + (options.lockWaitMs ?? 30_000)
  let keep: Session
  for (;;) {
    try {
      keep = new Session(data, { connectionArgs: [`--config-file=${config}`, ...pinned] })
      break
    } catch (error) {
      // The engine tells the cause on stderr only: whether somebody holds the directory is seen from outside.
      const owner = findOwner(data)
      if (owner === null) throw error
      if (Date.now() > deadline) {
        throw new Error(
          `The store's directory ${options.directory} is held by another process, number ${owner}: stop it first.`,
          { cause: error },
        )
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  // chDB catches fatal signals and may then hang for minutes: an abort has to end the process.
  process.on('SIGABRT', () => undefined)
  writeFileSync(join(data, 'owner.pid'), String(process.pid))
  // What an earlier process had not inserted was never acknowledged.
  rmSync(spoolDirectory, { recursive: true, force: true })
  mkdirSync(spoolDirectory, { mode: 0o700 })
  // The engine's own `default` shows every file of the machine as a table; a session cannot be without a `default`.
  await keep.queryAsync('DETACH DATABASE default')
  await keep.queryAsync('ATTACH DATABASE default ENGINE = Memory')
  await keep.queryAsync('CREATE DATABASE IF NOT EXISTS footfall ENGINE = Atomic')
  const version = (await keep.queryAsync('SELECT version()', { format: 'TSV' })).text().trim()
  // Together well below libuv's 16 threads: files, and the statement that ends a query, need some too.
  const lanes = {
    query: createLane(Math.min(8, availableParallelism() + 2)),
    insert: createLane(2),
    probe: createLane(2),
  }

  return {
    version,
    spoolDirectory,
    run: (lane, operation, work) =>
      lanes[lane](async () => {
        const session = new Session(data, { connectionArgs: pinned })
        try {
          const sets = [`SET log_comment=${literal(operation.id)}`]
          for (const [name, value] of operation.settings) sets.push(`SET ${name}=${literal(value)}`)
          for (const [name, value] of operation.parameters) sets.push(`SET param_${name}=${literal(value)}`)
          await session.queryAsync(`USE \`${operation.database}\`; ${sets.join('; ')}`)
          return await work(session)
        } finally {
          session.close()
        }
      }),
    kill(id) {
      // Never SYNC: the entry stays until the session's next statement, so a synchronous kill hangs.
      keep.queryAsync(`KILL QUERY WHERE Settings['log_comment'] = ${literal(id)} ASYNC`).catch(() => undefined)
    },
    async close() {
      await drainPending()
      keep.close()
    },
  }
}

/** A name for a statement that got none. */
export const newOperationId = (): string => randomUUID()
