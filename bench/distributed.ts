import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { openKafkaEventLog } from '@footfall/event-log/kafka'
import { openStore } from '@footfall/store/open'
import { startInstallation, type Installation } from '../test/servers/distributed.ts'
import type { RunningService } from '../test/servers/footfall.ts'
import { startKafka } from '../test/servers/kafka.ts'
import { benchAccept } from './accept.ts'
import { freshness } from './end-to-end.ts'
import { pause } from './footfall.ts'
import { benchCatalogue, generateLoad } from './load.ts'
import { atMost, percentile, reported, type Row } from './row.ts'

const token = 'bench-distributed-token'
const bearer = { authorization: `Bearer ${token}` }

/** About what an accepted page view is in the log. */
const record = () => {
  const id = randomUUID()
  const value = JSON.stringify({
    v: 1,
    id,
    deployment: 'bench',
    source: 'beacon',
    received_at: Date.now(),
    at: Date.now(),
    local_day: '2026-03-10',
    local_hour: 10,
    name: 'page_view',
    host: 'bench.example',
    path: `/page/${id.slice(0, 2)}`,
    referrer: 'search.example',
    device: 'desktop',
    browser: 'Firefox',
    system: 'Linux',
    country: 'FI',
    visitor: id.slice(0, 16),
  })
  return { key: `bench${id}`, value }
}

/** CPU of this process an event, µs, with one append of so many records after the other. */
async function produce(brokers: readonly string[], events: number, batch: number): Promise<number> {
  const log = await openKafkaEventLog({ brokers, prefix: `bench-${batch}.`, partitions: { events: 24 } })
  const batches = Array.from({ length: 20 }, () => Array.from({ length: batch }, record))
  for (const records of batches.slice(0, 5)) await log.append('events', records)
  const before = process.cpuUsage()
  for (let sent = 0; sent < events; sent += batch) await log.append('events', batches[(sent / batch) % batches.length]!)
  const { user, system } = process.cpuUsage(before)
  await log.close()
  return (user + system) / events
}

/** CPU seconds of a process and its children so far. */
const cpuOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}
const cpuOfAll = (services: readonly RunningService[]): number =>
  services.reduce((sum, service) => sum + cpuOf(service.pid()), 0)

async function drained({ console }: Installation): Promise<void> {
  for (;;) {
    const { in_log: inLog } = (await (await fetch(`${console.url}/api/v1/ledger`, { headers: bearer })).json()) as {
      in_log: number
    }
    if (inLog === 0) return
    await pause(250)
  }
}

/** CPU of the consumers that run, µs an event, over a load. */
async function consume(
  installation: Installation,
  consumers: readonly RunningService[],
  load: { eventsPerSecond: number; seconds: number },
) {
  const eventsPerRequest = 10
  const before = cpuOfAll(consumers)
  const { accepted } = await generateLoad({
    port: Number(new URL(installation.ingests[0]!.url).port),
    eventsPerRequest,
    seconds: load.seconds,
    requestsPerSecond: load.eventsPerSecond / eventsPerRequest,
  })
  await drained(installation)
  return ((cpuOfAll(consumers) - before) * 1e6) / (accepted * eventsPerRequest)
}

/** CPU of the engine and of what supervises it, in seconds so far. */
const engineCpu = ({ store }: Installation): number =>
  [
    store.pid(),
    ...execFileSync('pgrep', ['-P', String(store.pid())])
      .toString()
      .trim()
      .split('\n')
      .map(Number),
  ].reduce((sum, pid) => sum + cpuOf(pid), 0)

/** What runs whatever comes: milliseconds of CPU a second of one consumer without events, and of the engine with few. */
async function standing(installation: Installation, consumer: RunningService, seconds: number) {
  const before = cpuOf(consumer.pid())
  await pause(seconds * 1_000)
  const idle = ((cpuOf(consumer.pid()) - before) * 1_000) / seconds
  const engineBefore = engineCpu(installation)
  const port = Number(new URL(installation.ingests[0]!.url).port)
  await generateLoad({ port, eventsPerRequest: 10, seconds, requestsPerSecond: 20 })
  await drained(installation)
  return { idle, engine: ((engineCpu(installation) - engineBefore) * 1_000) / seconds }
}

/** CPU of the consumers that run, µs an event, while they catch up with what came while the store was away. */
async function catchUp(installation: Installation, consumers: readonly RunningService[], seconds: number) {
  const { ingests, store } = installation
  await store.stop()
  const { accepted } = await generateLoad({
    port: Number(new URL(ingests[0]!.url).port),
    eventsPerRequest: 20,
    seconds,
    requestsPerSecond: 300,
  })
  await store.start()
  const before = cpuOfAll(consumers)
  await drained(installation)
  return ((cpuOfAll(consumers) - before) * 1e6) / (accepted * 20)
}

/** On three brokers of this machine: what producing costs, and the way to the store with one consumer and with two. */
export async function benchDistributed(options: { events: number; seconds: number; rounds: number }): Promise<Row[]> {
  const servers = await startKafka()
  const big = await produce(servers.brokers, options.events, 1_000)
  const small = await produce(servers.brokers, options.events / 3, 200)
  const accept = await benchAccept({ rounds: options.rounds, seconds: 4, brokers: servers.brokers })
  await servers.stop()

  const installation = await startInstallation({
    adminToken: token,
    // As it is by default; the tests' six are quicker to hand over.
    environment: {
      KAFKA_PARTITIONS: '24',
      RATE_LIMIT_PER_KEY: '1000000',
      RATE_LIMIT_PER_ADDRESS: '1000000',
      LOG_LEVEL: 'error',
    },
  })
  const { console, ingests, consumers, storeUrl } = installation
  const applied = await fetch(`${console.url}/api/v1/registry/apply`, {
    method: 'POST',
    headers: { ...bearer, 'content-type': 'application/json' },
    body: JSON.stringify({ catalogue: benchCatalogue }),
  })
  if (!applied.ok) throw new Error(await applied.text())
  for (const { url } of ingests) while ((await fetch(`${url}/privacy/bench`)).status !== 200) await pause(100)
  const store = openStore({ url: new URL(storeUrl).origin, user: 'default', password: new URL(storeUrl).password })
  const waits = await freshness(
    { url: ingests[1]!.url, port: Number(new URL(ingests[0]!.url).port), store },
    1_000,
    options.seconds,
  )
  await drained(installation)
  const rates = [2_000, 5_000]
  const measure = async (running: readonly RunningService[]) => {
    const atRates: number[] = []
    for (const eventsPerSecond of rates)
      atRates.push(await consume(installation, running, { eventsPerSecond, seconds: options.seconds / 2 }))
    return { atRates, behind: await catchUp(installation, running, options.seconds / 3) }
  }
  const two = await measure(consumers)
  const fixed = await standing(installation, consumers[0]!, options.seconds / 4)
  await consumers[1]!.stop()
  await pause(2_000)
  const one = await measure(consumers.slice(0, 1))
  await store.close()
  await installation.close()
  return [
    atMost('produce to Kafka, 1,000 events an append: CPU an event', { value: big, unit: 'µs', target: 15 }),
    atMost('produce to Kafka, 200 events an append: CPU an event', { value: small, unit: 'µs', target: 25 }),
    ...accept,
    atMost('distributed, 1,000 events/s: acknowledged to visible in a new query, p95', {
      value: percentile(waits, 0.95),
      unit: 's',
      target: 5,
      note: `${waits.length} probes, p50 ${percentile(waits, 0.5).toFixed(2)}`,
    }),
    ...rates.map((rate, nth) =>
      atMost(`CPU of the consumers an event, two against one, ${rate.toLocaleString('en')} events/s`, {
        value: two.atRates[nth]! / one.atRates[nth]!,
        unit: '×',
        target: 1.15,
        note: `${two.atRates[nth]!.toFixed(1)} against ${one.atRates[nth]!.toFixed(1)} µs`,
      }),
    ),
    atMost('CPU of the consumers an event, two against one, catching up with full batches', {
      value: two.behind / one.behind,
      unit: '×',
      target: 1.15,
      note: `${two.behind.toFixed(1)} against ${one.behind.toFixed(1)} µs`,
    }),
    reported('a consumer without events, CPU a second', { value: fixed.idle, unit: 'ms' }),
    reported('the engine with 200 events/s through two consumers, CPU a second', { value: fixed.engine, unit: 'ms' }),
  ]
}
