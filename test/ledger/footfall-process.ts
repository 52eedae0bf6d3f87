import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { findRoot } from '@footfall/config/root'
import { openStore, type Store } from '@footfall/store/open'

const run = promisify(execFile)
const startLimitMs = 60_000
const endLimitMs = 30_000
const token = 'ledger-check-token-0000'
const password = 'ledger-check-password'

export interface Ended {
  readonly code: number | null
  readonly ms: number
}

export interface FootfallProcess {
  readonly url: string
  readonly directory: string
  /** Starts the command; resolves once it says that it runs. @throws with its output when it ends instead */
  start(environment?: Readonly<Record<string, string>>): Promise<void>
  /** Starts the command without waiting, to be killed on its way up. */
  launch(): void
  /** Sends a signal and waits for the end. @throws when it ended by itself before, or after 30 s: then it is killed */
  end(signal: NodeJS.Signals): Promise<Ended>
  /** Process id of embedded ClickHouse; null between two of its lives. */
  storePid(): Promise<number | null>
  /** Whether the consumer's claim is open on disk. */
  hasOpenClaim(): boolean
  isRunning(): boolean
  request<Answer>(path: string, body?: unknown): Promise<Answer>
  openStore(): Store
  /** Runs another `footfall` command on the same data directory, or another one. @throws with its output */
  command(args: readonly string[], environment?: Readonly<Record<string, string>>): Promise<string>
  /** The last lines that the process printed. */
  output(): string
  /** How often it said what in its log, over all its lives. */
  messages(): Record<string, number>
}

/** A free port below those that the system hands out: over hundreds of restarts no outgoing connection may take it. */
export async function findPort(random: () => number): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(random() * 18_000)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (isFree) return port
  }
}

/** Sends a signal, 0 only to ask; false when the process has gone by itself. */
export function kill(pid: number | null, signal: NodeJS.Signals | 0 = 'SIGKILL'): boolean {
  if (pid === null) return false
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** The real command in a process of its own, on a data directory, always under the same address. */
export function footfallProcess(options: { directory: string; port: number; storePort: number }): FootfallProcess {
  const { directory, port, storePort } = options
  const url = `http://127.0.0.1:${port}`
  const entry = join(findRoot(), 'dist/footfall.js')
  const own = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    DATA_DIR: directory,
    HOST: '127.0.0.1',
    PORT: String(port),
    STORE_PORT: String(storePort),
    STORE_PASSWORD: password,
    ADMIN_TOKEN: token,
    RATE_LIMIT_PER_KEY: '1000000',
    RATE_LIMIT_PER_ADDRESS: '1000000',
    FLUSH_INTERVAL_MS: '100',
    LOG_LEVEL: 'info',
  }
  let child: ChildProcess | null = null
  let wasAsked = false
  let output = ''
  const messages: Record<string, number> = {}

  const launch = (
    environment: Readonly<Record<string, string>> = {},
    onLine: (line: string) => unknown = () => undefined,
  ): ChildProcess => {
    output = ''
    wasAsked = false
    const started = spawn(process.execPath, [entry, 'start'], {
      env: { ...own, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child = started
    for (const stream of [started.stdout, started.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        output = `${output}${line}\n`.slice(-8_000)
        const said = /"msg":"([^"]+)"/.exec(line)?.[1]
        if (said !== undefined) messages[said] = (messages[said] ?? 0) + 1
        onLine(line)
      })
    }
    return started
  }
  const isRunning = (): boolean => child !== null && child.exitCode === null && child.signalCode === null

  return {
    url,
    directory,
    isRunning,
    output: () => output,
    messages: () => messages,
    launch: () => void launch(),
    async start(environment = {}) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`footfall does not come up:\n${output}`)), startLimitMs)
        const settle = (error?: Error): void => {
          clearTimeout(timer)
          if (error) reject(error)
          else resolve()
        }
        launch(environment, (line) => line === 'Footfall runs.' && settle()).once('exit', (code, signal) =>
          settle(new Error(`footfall ended with ${code ?? signal} while starting:\n${output}`)),
        )
      })
    },
    async end(signal) {
      const ending = child
      const began = performance.now()
      if (!ending) return { code: null, ms: 0 }
      if (!isRunning() && !wasAsked) {
        throw new Error(`footfall ended by itself with ${ending.exitCode ?? ending.signalCode}:\n${output}`)
      }
      if (!isRunning()) return { code: ending.exitCode, ms: 0 }
      wasAsked = true
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          ending.kill('SIGKILL')
          reject(new Error(`footfall did not end within ${endLimitMs} ms of ${signal}:\n${output}`))
        }, endLimitMs)
        ending.once('exit', (code) => {
          clearTimeout(timer)
          resolve({ code, ms: Math.round(performance.now() - began) })
        })
        ending.kill(signal)
      })
    },
    async storePid() {
      if (!isRunning()) return null
      // It exits with 1 where there is no child.
      const { stdout } = await run('pgrep', ['-P', String(child?.pid)]).catch(() => ({ stdout: '' }))
      return Number(stdout.trim().split('\n')[0]) || null
    },
    hasOpenClaim() {
      try {
        return readFileSync(join(directory, 'log/events/0/consumers/store.json'), 'utf8').includes('"claimed"')
      } catch {
        // Not there yet, or just being replaced.
        return false
      }
    },
    async request<Answer>(path: string, body?: unknown) {
      const response = await fetch(url + path, {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        signal: AbortSignal.timeout(20_000),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
      return (await response.json()) as Answer
    },
    openStore: () =>
      openStore({
        url: `http://127.0.0.1:${storePort}/footfall`,
        user: 'default',
        password,
        requestTimeoutMs: 120_000,
      }),
    async command(args, environment = {}) {
      const { stdout } = await run(process.execPath, [entry, ...args], {
        env: { ...own, ...environment },
        encoding: 'utf8',
        timeout: 120_000,
      })
      return stdout
    },
  }
}
