import { fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'

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
  /** Called when the engine has died and is started again. */
  readonly onRestart?: (reason: string) => void
}

export interface EmbeddedClickHouse {
  readonly url: string
  readonly port: number
  readonly user: string
  readonly password: string
  pid(): number | null
  restarts(): number
  /** Rejects when the engine can no longer be started. */
  readonly failed: Promise<never>
  close(): Promise<void>
}

const probeEveryMs = 5_000
const probeTimeoutMs = 20_000
const stopTimeoutMs = 15_000
/** Deaths before ready, one after the other, after which starting is given up. */
const mostFailedStarts = 5

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/**
 * Runs embedded ClickHouse as a child process and keeps it running: started again at once when it dies, killed when it
 * no longer answers, on the same port with the same password. The child ends itself when this process is gone.
 */
export async function superviseEmbeddedClickHouse(options: SuperviseOptions): Promise<EmbeddedClickHouse> {
  const port = options.port || (await freePort())
  const password = options.password ?? randomBytes(24).toString('base64url')
  const user = 'default'
  const url = `http://127.0.0.1:${port}`
  const entry = join(findRoot(), 'dist/embedded-clickhouse.js')
  const log = options.onLog ?? (() => undefined)
  let child: ChildProcess | null = null
  let restarts = 0
  let closing = false
  let giveUp: (error: Error) => void = () => undefined
  const failed = new Promise<never>((_resolve, reject) => (giveUp = reject))
  failed.catch(() => undefined)

  /** Starts the child once; resolves when it answers. */
  const start = (): Promise<ChildProcess> =>
    new Promise((resolve, reject) => {
      const started = fork(entry, [], {
        execArgv: [],
        // Engine calls occupy libuv's threads: with the default of 4 a few queries would starve file and DNS work.
        env: { PATH: process.env.PATH, HOME: process.env.HOME, TZ: 'UTC', UV_THREADPOOL_SIZE: '16' },
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      })
      child = started
      let output = ''
      const note = (chunk: Buffer): void => {
        output = (output + chunk.toString('utf8')).slice(-4_000)
        log(chunk.toString('utf8').trimEnd())
      }
      started.stdout?.on('data', note)
      started.stderr?.on('data', note)
      started.on('message', (message) => {
        const known = message as ChildMessage
        if (known.type === 'ready') resolve(started)
        else reject(new Error(known.message))
      })
      started.once('exit', (code, signal) => {
        if (child === started) child = null
        reject(new Error(`Embedded ClickHouse ended while starting (${signal ?? code}). ${output.slice(-500)}`))
      })
      started.once('error', reject)
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

  const watch = (running: ChildProcess): void => {
    running.once('exit', (code, signal) => {
      if (closing) return
      options.onRestart?.(String(signal ?? code))
      restarts++
      restart(0)
    })
  }
  const restart = (failures: number): void => {
    start().then(watch, (error: Error) => {
      if (closing) return
      if (failures + 1 >= mostFailedStarts) return giveUp(error)
      setTimeout(() => restart(failures + 1), 100 * 2 ** failures)
    })
  }

  watch(await start())

  let answeredAt = Date.now()
  const probe = setInterval(() => {
    const asked = child
    fetch(`${url}/ping`, { signal: AbortSignal.timeout(probeEveryMs) })
      .then((response) => response.text())
      .then(() => (answeredAt = Date.now()))
      .catch(() => {
        // A hung engine catches every signal but this one.
        if (asked && asked === child && Date.now() - answeredAt > probeTimeoutMs) {
          answeredAt = Date.now()
          asked.kill('SIGKILL')
        }
      })
  }, probeEveryMs)
  probe.unref()

  return {
    url,
    port,
    user,
    password,
    pid: () => child?.pid ?? null,
    restarts: () => restarts,
    failed,
    async close() {
      if (closing) return
      closing = true
      clearInterval(probe)
      const running = child
      if (!running || running.exitCode !== null || running.signalCode !== null) return
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => running.kill('SIGKILL'), stopTimeoutMs)
        running.once('exit', () => {
          clearTimeout(timer)
          resolve()
        })
        if (running.connected) running.send({ type: 'stop' })
        else running.kill('SIGKILL')
      })
    },
  }
}
