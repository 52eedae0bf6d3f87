import { fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findRoot } from '@footfall/config/root'
import { PipelineError } from '@footfall/contracts/errors'
import { probeStatement } from './statement.ts'

export type ChildMessage = { type: 'ready'; port: number; version: string } | { type: 'failed'; message: string }

export interface SuperviseOptions {
  readonly directory: string
  /** Where BACKUP may write; default `<directory>/backups`. */
  readonly backupsDirectory?: string
  /** 0 or absent: any free one, kept over restarts. */
  readonly port?: number
  /** Absent: a new one. */
  readonly password?: string
  readonly memoryBytes?: number
  readonly lockWaitMs?: number
  readonly onLog?: (line: string) => void
  /** Told what is wrong while the engine is away, and null once it answers again. */
  readonly onProblem?: (problem: string | null) => void
  /** Milliseconds between two probes, and the deadline of each; default 5,000. */
  readonly probeEveryMs?: number
  /** Once aborted, nothing is started any more; a start under way is ended. `close` does the rest. */
  readonly signal?: AbortSignal
}

export interface EmbeddedClickHouse {
  readonly url: string
  readonly port: number
  readonly user: string
  readonly password: string
  pid(): number | null
  restarts(): number
  close(): Promise<void>
}

interface Running {
  kill(): void
  /** How it ended: a signal or an exit code. */
  readonly ended: Promise<string>
  /** Aborted once it has ended. */
  readonly over: AbortSignal
}

/** Deadlines missed one after the other, after which the engine counts as hung. */
const mostMissed = 4
/** Less than the 10 s that a whole shutdown has; what was acknowledged is on disk. */
const stopTimeoutMs = 5_000
const firstRetryMs = 100
const lastRetryMs = 5_000

const cannotStart = (why: string): PipelineError =>
  new PipelineError('STORE_UNAVAILABLE', `Embedded ClickHouse cannot be started: ${why}`)

/** Resolves after a time, or at once when the signal aborts. Keeps no process alive. */
const wait = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal, ref: false }).catch(() => undefined)

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/**
 * Runs embedded ClickHouse as a child process and keeps it running: started again at once when it dies, and for ever
 * while it cannot start; killed when it no longer answers; on the same port with the same password. The child ends
 * itself when this process is gone.
 * @throws STORE_UNAVAILABLE when the first start fails, with its cause and a foreign owner's number; nothing is left running.
 */
export async function superviseEmbeddedClickHouse(options: SuperviseOptions): Promise<EmbeddedClickHouse> {
  const port = options.port || (await freePort())
  const password = options.password ?? randomBytes(24).toString('base64url')
  const user = 'default'
  const url = `http://127.0.0.1:${port}`
  const entry = join(findRoot(), 'dist/embedded-clickhouse.js')
  const log = options.onLog ?? (() => undefined)
  const tell = options.onProblem ?? (() => undefined)
  const probeEveryMs = options.probeEveryMs ?? 5_000
  const closing = new AbortController()
  const stopped = options.signal ? AbortSignal.any([options.signal, closing.signal]) : closing.signal
  let child: ChildProcess | null = null
  let restarts = 0

  /** Starts the child once; resolves when it answers. */
  const start = (): Promise<Running> =>
    new Promise((resolve, reject) => {
      if (stopped.aborted) throw cannotStart('It is closed.')
      const started = fork(entry, [], {
        execArgv: [],
        // Engine calls occupy libuv's threads: with the default of 4 a few queries would starve file and DNS work.
        env: { PATH: process.env.PATH, HOME: process.env.HOME, TZ: 'UTC', UV_THREADPOOL_SIZE: '16' },
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      })
      child = started
      let output = ''
      let failure: string | null = null
      const note = (chunk: Buffer): void => {
        output = (output + chunk.toString('utf8')).slice(-4_000)
        log(chunk.toString('utf8').trimEnd())
      }
      started.stdout?.on('data', note)
      started.stderr?.on('data', note)
      // What is starting holds nothing that was acknowledged, and may wait for the lock: it is not asked to stop.
      const end = (): void => void started.kill('SIGKILL')
      stopped.addEventListener('abort', end, { once: true })
      const over = new AbortController()
      const ended = new Promise<string>((settle) =>
        started.once('exit', (code, signal) => {
          child = null
          over.abort()
          stopped.removeEventListener('abort', end)
          settle(String(signal ?? code))
        }),
      )
      // The engine tells causes on stderr: it is read to its end.
      started.once('close', (code, signal) => {
        const lastWords = output.trimEnd().split('\n').at(-1)?.slice(0, 500) ?? ''
        reject(cannotStart(`${failure ?? `It ended (${signal ?? code}).`} ${lastWords}`.trim()))
      })
      started.on('message', (message) => {
        const known = message as ChildMessage
        if (known.type === 'ready') {
          stopped.removeEventListener('abort', end)
          resolve({ kill: end, ended, over: over.signal })
        } else {
          failure = known.message
          end()
        }
      })
      started.on('error', (error) => {
        // A process that could not be made never exits.
        if (started.pid === undefined) child = null
        reject(cannotStart(error.message))
      })
      started.send({
        type: 'start',
        directory: options.directory,
        backupsDirectory: options.backupsDirectory ?? join(options.directory, 'backups'),
        port,
        user,
        password,
        memoryBytes: options.memoryBytes ?? 600_000_000,
        ...(options.lockWaitMs === undefined ? {} : { lockWaitMs: options.lockWaitMs }),
      })
    })

  /**
   * Asks the engine for a row until it ends. `/ping` would be answered by the child's web server alone: an engine that
   * hangs, or has met a fatal signal, shows only in a query. It catches every signal but SIGKILL.
   */
  const probe = async (running: Running): Promise<void> => {
    const headers = { 'x-clickhouse-user': user, 'x-clickhouse-key': password }
    for (let missed = 0; missed < mostMissed;) {
      const next = wait(probeEveryMs, running.over)
      try {
        const signal = AbortSignal.timeout(probeEveryMs)
        const answer = await fetch(url, { method: 'POST', headers, body: probeStatement, signal })
        // Any other error is an answer: an engine that is short of memory lives.
        if ((await answer.text()).includes('shutting down due to a fatal error')) break
        missed = 0
      } catch {
        missed++
      }
      await next
      if (running.over.aborted) return
    }
    running.kill()
  }

  const keepRunning = async (first: Running): Promise<void> => {
    for (let running = first; ;) {
      void probe(running)
      const how = await running.ended
      if (stopped.aborted) return
      restarts++
      tell(`Embedded ClickHouse ended (${how}) and is started again.`)
      for (let delay = firstRetryMs; ; delay = Math.min(lastRetryMs, delay * 2)) {
        try {
          running = await start()
          break
        } catch (error) {
          if (stopped.aborted) return
          tell(error instanceof Error ? error.message : String(error))
          await wait(delay, stopped)
          if (stopped.aborted) return
        }
      }
      tell(null)
    }
  }
  const kept = keepRunning(await start())

  const stop = async (): Promise<void> => {
    closing.abort()
    const running = child
    if (running) {
      const timer = setTimeout(() => running.kill('SIGKILL'), stopTimeoutMs)
      running.once('exit', () => clearTimeout(timer))
      if (running.connected) running.send({ type: 'stop' })
      else running.kill('SIGKILL')
    }
    await kept
  }
  let closed: Promise<void> | null = null

  return {
    url,
    port,
    user,
    password,
    pid: () => child?.pid ?? null,
    restarts: () => restarts,
    close: () => (closed ??= stop()),
  }
}
