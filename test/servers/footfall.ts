import { spawn, type ChildProcess } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { freePort } from './free-port.ts'

export type ServiceName = 'ingest' | 'consumer' | 'console' | 'jobs' | 'embedded-clickhouse'

/** A service as an operator starts it: the real command in a process of its own. */
export interface RunningService {
  readonly name: string
  readonly url: string
  readonly directory: string
  pid(): number
  signal(signal: NodeJS.Signals): void
  /** kill -9; resolves once it is gone. */
  kill(): Promise<void>
  /** SIGTERM; resolves to its exit code. */
  stop(): Promise<number | null>
  /** Starts it again with the same environment. */
  start(): Promise<void>
}

/** Services of this process; none is left behind when the run is cut off. */
const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/**
 * Starts `footfall start NAME` with its own PORT and DATA_DIR; resolves when it says that it runs.
 * @param options.restart starts it again when it ends by itself, as whatever supervises it would.
 */
export async function startService(
  service: ServiceName,
  environment: Readonly<Record<string, string>>,
  options: { directory: string; name?: string; restart?: boolean; onLine?: (line: string) => void },
): Promise<RunningService> {
  const name = options.name ?? service
  const directory = join(options.directory, name)
  await mkdir(directory, { recursive: true })
  const port = await freePort()
  let child: ChildProcess
  let ended: Promise<number | null>
  let isWanted = true
  const start = async (): Promise<void> => {
    isWanted = true
    child = spawn(process.execPath, [join(findRoot(), 'dist/footfall.js'), 'start', service], {
      env: { PATH: process.env.PATH, ...environment, PORT: String(port), DATA_DIR: directory },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const running = child
    children.add(running)
    ended = new Promise((resolve) =>
      running.once('exit', (code) => {
        children.delete(running)
        resolve(code)
        if (options.restart === true && isWanted && child === running) start().catch(() => undefined)
      }),
    )
    await new Promise<void>((resolve, reject) => {
      let output = ''
      const note = (chunk: Buffer): void => {
        output = (output + chunk.toString('utf8')).slice(-4_000)
        if (options.onLine) for (const line of chunk.toString('utf8').split('\n')) if (line) options.onLine(line)
        if (output.includes(`Footfall ${service} runs`)) resolve()
      }
      running.stdout!.on('data', note)
      running.stderr!.on('data', note)
      running.once('exit', (code) => reject(new Error(`${name} ended with ${code}: ${output}`)))
    })
  }
  await start()
  return {
    name,
    url: `http://127.0.0.1:${port}`,
    directory,
    pid: () => child.pid!,
    signal: (signal) => void child.kill(signal),
    async kill() {
      isWanted = false
      child.kill('SIGKILL')
      await ended
    },
    async stop() {
      isWanted = false
      child.kill('SIGCONT')
      child.kill('SIGTERM')
      return ended
    },
    start,
  }
}

/** Resolves when `/readyz` of a service says so. */
export async function ready({ url, name }: Pick<RunningService, 'url' | 'name'>): Promise<void> {
  const began = Date.now()
  for (;;) {
    const answer = await fetch(`${url}/readyz`).catch(() => null)
    if (answer?.status === 200) return
    if (Date.now() - began > 120_000) throw new Error(`${name} is not ready: ${await answer?.text()}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
