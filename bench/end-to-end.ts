import { spawn, execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { openStore } from '@footfall/store/open'
import { atLeast, atMost, percentile, type Row } from './row.ts'

const token = 'bench-token-0000000000'
const ticksPerSecond = 100

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

function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
    return sum + (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  }, 0)
}

function pssMegabytes(pids: readonly number[]): number {
  return pids.reduce(
    (sum, pid) =>
      sum + Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) / 1024,
    0,
  )
}

function bytesBelow(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + readFileSync(join(entry.parentPath, entry.name)).length, 0)
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** The real command under an open loop: latency from the intended start, freshness, throughput, memory, disk. */
export async function benchEndToEnd(seconds: number): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'footfall-bench-'))
  const port = 18_080 + (process.pid % 1_000)
  const storePort = port + 1_000
  const footfall = spawn(process.execPath, [join(findRoot(), 'dist/footfall.js'), 'start'], {
    env: {
      ...process.env,
      DATA_DIR: directory,
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
  await new Promise<void>((resolve) =>
    footfall.stdout.on('data', (chunk: Buffer) => chunk.includes('Footfall runs.') && resolve()),
  )
  const url = `http://127.0.0.1:${port}`
  const call = async <Answer>(path: string, body?: unknown): Promise<Answer> =>
    (await (
      await fetch(url + path, {
        method: body ? 'POST' : 'GET',
        headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
        ...(body ? { body: JSON.stringify(body) } : {}),
      })
    ).json()) as Answer
  await call('/api/v1/registry/apply', {
    catalogue: {
      organisations: [{ id: 'o', name: 'O', type: 'city', country: 'FI' }],
      apps: [{ id: 'a', name: 'A' }],
      deployments: [
        {
          id: 'bench',
          app: 'a',
          organisation: 'o',
          time_zone: 'Europe/Helsinki',
          origins: ['https://bench.example'],
          mode: 'exempt',
          keys: ['pk_bench_key'],
        },
      ],
    },
  })
  const store = openStore({ url: `http://127.0.0.1:${storePort}/footfall`, user: 'default', password: 'bench' })
  const drained = async (): Promise<void> => {
    while ((await call<{ in_log: number }>('/api/v1/ledger')).in_log > 0) await pause(100)
  }
  let sent = 0
  const salt = Math.floor(Math.random() * 0xffff)
    .toString(16)
    .padStart(4, '0')
  const send = async (count: number): Promise<number> => {
    const now = Date.now()
    const events = Array.from({ length: count }, () => {
      sent++
      const hex = now.toString(16).padStart(12, '0')
      return {
        id: `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${salt}${sent.toString(16).padStart(8, '0')}`,
        name: 'page_view',
        at: now,
        seq: sent % 5,
        url: `https://bench.example/page/${sent % 200}`,
        referrer: 'https://search.example/',
      }
    })
    const response = await fetch(`${url}/v1/events`, {
      method: 'POST',
      headers: {
        'content-type': 'text/plain',
        origin: 'https://bench.example',
        'user-agent': `Mozilla/5.0 (X11; Linux x86_64; rv:${100 + (sent % 500)}.0) Gecko/20100101 Firefox/115.0`,
      },
      body: JSON.stringify({ key: 'pk_bench_key', sent_at: now, page_id: `p${sent}`, events }),
    })
    await response.arrayBuffer()
    return response.status
  }
  /** Requests at fixed times, whatever the answers do; latency counts from the time a request was due. */
  const openLoop = async (
    eventsPerSecond: number,
    perRequest: number,
  ): Promise<{ latencies: number[]; refused: number }> => {
    const latencies: number[] = []
    let refused = 0
    const every = (1_000 * perRequest) / eventsPerSecond
    const began = performance.now()
    const calls: Promise<void>[] = []
    for (let number = 0; number * every < seconds * 1_000; number++) {
      const due = began + number * every
      const early = due - performance.now()
      if (early > 1) await pause(early)
      calls.push(
        send(perRequest).then((status) => {
          if (status !== 202) refused++
          latencies.push(performance.now() - due)
        }),
      )
    }
    await Promise.all(calls)
    return { latencies, refused }
  }
  /** From the acknowledgement of an event to the first query that counts it. */
  const freshness = async (eventsPerSecond: number): Promise<number> => {
    const waits: number[] = []
    const background = openLoop(eventsPerSecond, 10)
    let isOver = false
    void background.then(() => (isOver = true))
    while (!isOver) {
      await send(1)
      const acknowledged = performance.now()
      const wanted = sent
      const id = `${salt}${wanted.toString(16).padStart(8, '0')}`
      for (;;) {
        const [row] = await store.query<{ n: string }>(
          'SELECT count() AS n FROM events WHERE received_at > now() - 60 AND endsWith(toString(id), {id:String})',
          { id },
        )
        if (row?.n !== '0') break
        await pause(20)
      }
      waits.push((performance.now() - acknowledged) / 1_000)
    }
    await background
    return percentile(waits, 0.95)
  }
  const pids = tree(footfall.pid!)

  const fresh = await freshness(1_000)
  const memory = pssMegabytes(pids)
  await drained()
  const loaded = await openLoop(5_000, 10)
  await drained()
  const before = cpuSeconds(pids)
  const sentBefore = sent
  const began = performance.now()
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      while (performance.now() - began < seconds * 1_000) await send(10)
    }),
  )
  await drained()
  const elapsed = (performance.now() - began) / 1_000
  const events = sent - sentBefore
  const cpu = (cpuSeconds(pids) - before) * 1e6
  await store.command('OPTIMIZE TABLE events FINAL')
  const [size] = await store.query<{ bytes: string; rows: string }>(
    "SELECT sum(bytes_on_disk) AS bytes, sum(rows) AS rows FROM system.parts WHERE active AND database = currentDatabase() AND table = 'events'",
  )
  const { difference } = await call<{ difference: number }>('/api/v1/ledger')
  const logBytes = bytesBelow(join(directory, 'log'))
  await store.close()
  footfall.kill('SIGTERM')
  await new Promise((resolve) => footfall.once('exit', resolve))
  rmSync(directory, { recursive: true, force: true })
  return [
    atMost(
      'open loop at 5,000 events/s, 10 a request: accept p99, generator on the same cores',
      percentile(loaded.latencies, 0.99),
      'ms',
      50,
    ),
    atMost('open loop at 5,000 events/s: requests refused', loaded.refused, '', 0),
    atLeast('end to end into the store, 10 a request, backlog drained: events/s', events / elapsed, '/s', 15_000),
    atMost('end to end: CPU an event over all our processes', cpu / events, 'µs', 60),
    atMost('freshness at 1,000 events/s: acknowledged to visible, p95', fresh, 's', 2),
    atMost('events on disk after merges, an event', Number(size?.bytes ?? 0) / Number(size?.rows ?? 1), 'B', 40),
    atMost('memory at 1,000 events/s (PSS over all processes)', memory, 'MB', 700),
    atMost('ledger difference after all of it', Math.abs(difference), '', 0),
    atMost('bytes of the event log an event (not a target of its own)', logBytes / sent, 'B', 1_024),
  ]
}
