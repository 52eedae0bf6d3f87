import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { openStore, type Store } from '@footfall/store/open'

export interface FootfallProcess {
  readonly url: string
  readonly directory: string
  readonly token: string
  readonly storePort: number
  /** Starts it and waits until it is ready. */
  start(extra?: Readonly<Record<string, string>>): Promise<void>
  /** Sends a signal and waits for its end; resolves to the exit code and how long it took. */
  end(signal: NodeJS.Signals): Promise<{ code: number | null; ms: number }>
  killStore(): boolean
  /** Whether a claim is open now. */
  hasOpenClaim(): boolean
  request<Answer>(path: string, body?: unknown): Promise<Answer>
  /** A client of its own, that no restart disturbs. */
  openStore(): Store
  run(args: readonly string[]): string
}

/** The real command in a process of its own, on a data directory. */
export function footfallProcess(options: { directory: string; port: number; storePort: number }): FootfallProcess {
  const { directory, port, storePort } = options
  const url = `http://127.0.0.1:${port}`
  const token = 'ledger-check-token-0000'
  const entry = join(findRoot(), 'dist/footfall.js')
  const environment = {
    ...process.env,
    DATA_DIR: directory,
    PORT: String(port),
    STORE_PORT: String(storePort),
    STORE_PASSWORD: 'ledger-check',
    ADMIN_TOKEN: token,
    RATE_LIMIT_PER_KEY: '1000000',
    RATE_LIMIT_PER_ADDRESS: '1000000',
    FLUSH_INTERVAL_MS: '100',
    LOG_LEVEL: 'error',
  }
  let child: ChildProcess | null = null
  let output = ''
  return {
    url,
    directory,
    token,
    storePort,
    async start(extra = {}) {
      output = ''
      const started = spawn(process.execPath, [entry, 'start'], { env: { ...environment, ...extra }, stdio: ['ignore', 'pipe', 'pipe'] })
      child = started
      const ready = new Promise<void>((resolve, reject) => {
        const note = (chunk: Buffer): void => {
          output = (output + chunk.toString('utf8')).slice(-20_000)
          if (output.includes('Footfall runs.')) resolve()
        }
        started.stdout.on('data', note)
        started.stderr.on('data', note)
        started.once('exit', (code) => reject(new Error(`footfall ended with ${code} while starting:\n${output}`)))
      })
      await ready
    },
    async end(signal) {
      const ending = child!
      const began = Date.now()
      const code = await new Promise<number | null>((resolve) => {
        if (ending.exitCode !== null || ending.signalCode !== null) return resolve(ending.exitCode)
        ending.once('exit', resolve)
        ending.kill(signal)
      })
      return { code, ms: Date.now() - began }
    },
    killStore() {
      try {
        const [pid] = execFileSync('pgrep', ['-P', String(child!.pid)], { encoding: 'utf8' }).trim().split('\n')
        process.kill(Number(pid), 'SIGKILL')
        return true
      } catch {
        // Between two lives of the engine there is nothing to kill.
        return false
      }
    },
    hasOpenClaim() {
      try {
        return readFileSync(join(directory, 'log/events/0/consumers/store.json'), 'utf8').includes('claimed')
      } catch {
        return false
      }
    },
    async request<Answer>(path: string, body?: unknown) {
      const response = await fetch(url + path, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
      return (await response.json()) as Answer
    },
    openStore: () => openStore({ url: `http://127.0.0.1:${storePort}/footfall`, user: 'default', password: 'ledger-check', requestTimeoutMs: 120_000 }),
    run: (args) => execFileSync(process.execPath, [entry, ...args], { env: environment, encoding: 'utf8' }),
  }
}
