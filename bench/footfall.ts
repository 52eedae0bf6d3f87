import { execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { openStore, type Store } from '@footfall/store/open'

const token = 'bench-token-0000000000'
/** Of the kernel's clock in /proc: fixed at 100 on Linux. */
const ticksPerSecond = 100

/** The real command in its own process, embedded ClickHouse beside it. Linux only: it reads /proc. */
export interface Footfall {
  readonly url: string
  readonly port: number
  readonly store: Store
  call<Answer>(path: string, body?: unknown): Promise<Answer>
  /** A page of the console, signed in. @returns milliseconds to its last byte. */
  visit(path: string): Promise<number>
  /** Resolves when the consumer has taken everything out of the log. */
  drained(): Promise<void>
  inLog(): Promise<number>
  cpuSeconds(): number
  /** Proportional set size over all processes. */
  memoryMegabytes(): number
  stop(): Promise<void>
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Processes of a tree, the first included. */
function tree(pid: number): number[] {
  try {
    const children = execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map(Number)
    return [pid, ...children.flatMap(tree)]
  } catch {
    // pgrep ends with 1 when there is none.
    return [pid]
  }
}

/** Starts `footfall` with the given arguments on a data directory; resolves when it has printed its sign-in link. */
export async function startFootfall(dataDirectory: string, args: readonly string[] = ['start']): Promise<Footfall> {
  const port = 18_080 + (process.pid % 1_000)
  const storePort = port + 1_000
  const child = spawn(process.execPath, [join(findRoot(), 'dist/footfall.js'), ...args], {
    env: {
      ...process.env,
      DATA_DIR: dataDirectory,
      PORT: String(port),
      STORE_PORT: String(storePort),
      STORE_PASSWORD: 'bench',
      ADMIN_TOKEN: token,
      RATE_LIMIT_PER_KEY: '10000000',
      RATE_LIMIT_PER_ADDRESS: '10000000',
      LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const link = await new Promise<string>((resolve, reject) => {
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8')
      const found = /http:\S+\/sign-in\/\S+/.exec(output)?.[0]
      if (found) resolve(found)
    })
    child.once('exit', (code) => reject(new Error(`footfall ${args.join(' ')} ended with ${code}: ${output}`)))
  })
  const signedIn = await fetch(link, { redirect: 'manual' })
  const cookie = signedIn.headers.getSetCookie()[0]!.split(';')[0]!
  const url = `http://127.0.0.1:${port}`
  const call = async <Answer>(path: string, body?: unknown): Promise<Answer> => {
    const response = await fetch(url + path, {
      method: body ? 'POST' : 'GET',
      headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as Answer
  }
  const inLog = async (): Promise<number> => (await call<{ in_log: number }>('/api/v1/ledger')).in_log
  // The link is printed when ingest and console answer; the store comes a moment later.
  while (!(await fetch(`${url}/api/v1/ledger`, { headers: { authorization: `Bearer ${token}` } }).then(({ ok }) => ok)))
    await pause(100)
  const pids = tree(child.pid!)
  const store = openStore({ url: `http://127.0.0.1:${storePort}/footfall`, user: 'default', password: 'bench' })
  return {
    url,
    port,
    store,
    call,
    inLog,
    async visit(path) {
      const began = performance.now()
      const response = await fetch(url + path, { headers: { cookie }, redirect: 'manual' })
      await response.arrayBuffer()
      if (response.status !== 200) throw new Error(`${path}: ${response.status}`)
      return performance.now() - began
    },
    async drained() {
      while ((await inLog()) > 0) await pause(100)
    },
    cpuSeconds: () =>
      pids.reduce((sum, pid) => {
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/^.*\) /, '')
          .split(' ')
        return sum + (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
      }, 0),
    memoryMegabytes: () =>
      pids.reduce(
        (sum, pid) =>
          sum + Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) / 1024,
        0,
      ),
    async stop() {
      await store.close()
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** Sends one event; resolves to its id once it is acknowledged. */
export async function sendOne(footfall: Pick<Footfall, 'url'>, key: string, origin: string): Promise<string> {
  const now = Date.now()
  const time = now.toString(16).padStart(12, '0')
  const rest = Math.floor(Math.random() * 0x1000000000000)
    .toString(16)
    .padStart(12, '0')
  const id = `${time.slice(0, 8)}-${time.slice(8)}-7000-9000-${rest}`
  const events = [{ id, name: 'page_view', at: now, seq: 0, url: `${origin}/probe` }]
  const response = await fetch(`${footfall.url}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain', origin, 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/128.0' },
    body: JSON.stringify({ key, sent_at: now, events }),
  })
  if (response.status !== 202) throw new Error(`a probe was answered ${response.status}`)
  await response.arrayBuffer()
  return id
}

/** Rows and bytes on disk of a table's active parts. */
export async function sizeOf(store: Store, table: string): Promise<{ rows: number; bytes: number }> {
  const [row] = await store.query<{ bytes: string; rows: string }>(
    'SELECT sum(bytes_on_disk) AS bytes, sum(rows) AS rows FROM system.parts WHERE active AND database = currentDatabase() AND table = {table:String}',
    { table },
  )
  return { rows: Number(row?.rows ?? 0), bytes: Number(row?.bytes ?? 0) }
}
