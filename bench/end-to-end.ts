import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pause, sendOne, sizeOf, startFootfall, type Footfall } from './footfall.ts'
import { benchCatalogue, benchKey, benchOrigin, generateLoad } from './load.ts'
import { atLeast, atMost, percentile, reported, type Row } from './row.ts'

function bytesBelow(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}

/** From the acknowledgement of an event to the first new query that sees its row, seconds, while others arrive. */
export async function freshness(
  footfall: Pick<Footfall, 'url' | 'port' | 'store'>,
  eventsPerSecond: number,
  seconds: number,
): Promise<number[]> {
  const waits: number[] = []
  let isOver = false
  const background = generateLoad({
    port: footfall.port,
    eventsPerRequest: 10,
    seconds,
    requestsPerSecond: eventsPerSecond / 10,
  }).finally(() => (isOver = true))
  await pause(2_000)
  while (!isOver) {
    const id = await sendOne(footfall, benchKey, benchOrigin)
    const acknowledged = performance.now()
    for (;;) {
      const [row] = await footfall.store.query<{ seen: string }>(
        "SELECT count() AS seen FROM events WHERE deployment = 'bench' AND received_at > now() - 120 AND id = {id:UUID}",
        { id },
      )
      if (row?.seen === '1') break
      await pause(20)
    }
    waits.push((performance.now() - acknowledged) / 1_000)
  }
  await background
  return waits
}

/** The most that all processes take at 1,000 events/s with a board refreshed a minute, as an evaluator's open tab does, MB. */
async function steadyMemory(footfall: Footfall, seconds: number): Promise<number> {
  const load = { port: footfall.port, eventsPerRequest: 10, seconds, requestsPerSecond: 100 }
  let isOver = false
  const background = generateLoad(load).finally(() => (isOver = true))
  let most = 0
  for (let second = 0; !isOver; second++) {
    const visit = second % 60 === 5 ? footfall.visit('/deployments/bench') : null
    for (let tenth = 0; tenth < 10; tenth++) {
      most = Math.max(most, footfall.memoryMegabytes())
      await pause(100)
    }
    await visit
  }
  await background
  await footfall.drained()
  return most
}

export interface EndToEndOptions {
  /** Of the open loop and of each freshness. */
  readonly seconds: number
  /** Of the sustained load into the store. */
  readonly sustainedSeconds: number
}

/** The real command under load: latency from the intended start, freshness, throughput, memory, disk. */
export async function benchEndToEnd({ seconds, sustainedSeconds }: EndToEndOptions): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'footfall-bench-'))
  const footfall = await startFootfall(directory)
  await footfall.call('/api/v1/registry/apply', { catalogue: benchCatalogue })

  const memory = await steadyMemory(footfall, Math.max(seconds, 65))
  const slow = await freshness(footfall, 1_000, seconds)
  await footfall.drained()
  const quick = await freshness(footfall, 5_000, seconds)
  await footfall.drained()

  const loaded = await generateLoad({
    port: footfall.port,
    eventsPerRequest: 10,
    seconds,
    requestsPerSecond: 500,
    connections: 128,
  })
  await footfall.drained()

  const cpuBefore = footfall.cpuSeconds()
  const began = performance.now()
  // As much as the whole way takes: a closed loop from few connections, held back while the log is ahead of the store.
  let events = 0
  const backlog: number[] = []
  while (performance.now() - began < sustainedSeconds * 1_000) {
    const { accepted } = await generateLoad({ port: footfall.port, eventsPerRequest: 10, seconds: 5, connections: 32 })
    events += accepted * 10
    const behind = await footfall.inLog()
    backlog.push(behind)
    while ((await footfall.inLog()) > 50_000) await pause(100)
  }
  await footfall.drained()
  const elapsed = (performance.now() - began) / 1_000
  const cpuMicros = ((footfall.cpuSeconds() - cpuBefore) * 1e6) / events
  const afterLoad = footfall.memoryMegabytes()

  for (const table of ['events', 'event_ids']) await footfall.store.command(`OPTIMIZE TABLE ${table} FINAL`)
  const size = await sizeOf(footfall.store, 'events')
  const ids = await sizeOf(footfall.store, 'event_ids')
  const { difference } = await footfall.call<{ difference: number }>('/api/v1/ledger')
  const logBytes = bytesBelow(join(directory, 'log'))
  await footfall.stop()
  rmSync(directory, { recursive: true, force: true })
  return [
    atMost('open loop at 5,000 events/s, 10 a request: accept p99, the generator on the same cores', {
      value: percentile(loaded.latencies, 0.99),
      unit: 'ms',
      target: 50,
      note: `${seconds} s, p50 ${percentile(loaded.latencies, 0.5).toFixed(1)}, p99.9 ${percentile(loaded.latencies, 0.999).toFixed(1)}`,
    }),
    atMost('open loop at 5,000 events/s: requests refused', { value: loaded.refused, unit: '', target: 0 }),
    atLeast('end to end into the store, 10 a request: events/s', {
      value: events / elapsed,
      unit: '/s',
      target: 15_000,
      note: `${Math.round(elapsed)} s, until the log was empty; backlog at most ${Math.max(...backlog)}`,
    }),
    atMost('end to end: CPU an event over all our processes', { value: cpuMicros, unit: 'µs', target: 60 }),
    atMost('freshness at 1,000 events/s: acknowledged to visible in a new query, p95', {
      value: percentile(slow, 0.95),
      unit: 's',
      target: 2,
      note: `${slow.length} probes`,
    }),
    atMost('freshness at 5,000 events/s: acknowledged to visible in a new query, p95', {
      value: percentile(quick, 0.95),
      unit: 's',
      target: 2,
      note: `${quick.length} probes`,
    }),
    atMost('memory at 1,000 events/s with a board refreshed a minute (PSS over all processes)', {
      value: memory,
      unit: 'MB',
      target: 700,
    }),
    reported('memory after the sustained load', { value: afterLoad, unit: 'MB' }),
    reported('events on disk after merges, of one deployment and day, an event', {
      value: size.bytes / size.rows,
      unit: 'B',
      note: `${size.rows} events; the boards' programme is the one with a target`,
    }),
    reported('event_ids on disk after merges, an id', { value: ids.bytes / ids.rows, unit: 'B' }),
    reported('event log on disk, an event', { value: logBytes / size.rows, unit: 'B' }),
    atMost('ledger difference after all of it', { value: Math.abs(difference), unit: '', target: 0 }),
  ]
}
