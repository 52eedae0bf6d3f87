import { randomUUID } from 'node:crypto'
import { openKafkaEventLog } from '@footfall/event-log/kafka'
import { openStore } from '@footfall/store/open'
import { startInstallation, type Installation } from '../test/servers/distributed.ts'
import { startKafka } from '../test/servers/kafka.ts'
import { benchAccept } from './accept.ts'
import { freshness } from './end-to-end.ts'
import { benchConsumers, drained } from './consumers.ts'
import { pause } from './footfall.ts'
import { benchCatalogue } from './load.ts'
import { atMost, percentile, type Row } from './row.ts'

const token = 'bench-distributed-token'

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

/** Tells an installation of the benches' deployment. @returns how long probes took to be visible, seconds. */
async function measureFreshness(installation: Installation, seconds: number): Promise<number[]> {
  const { console, ingests, storeUrl } = installation
  const applied = await fetch(`${console.url}/api/v1/registry/apply`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ catalogue: benchCatalogue }),
  })
  if (!applied.ok) throw new Error(await applied.text())
  for (const { url } of ingests) while ((await fetch(`${url}/privacy/bench`)).status !== 200) await pause(100)
  const store = openStore({ url: new URL(storeUrl).origin, user: 'default', password: new URL(storeUrl).password })
  const waits = await freshness(
    { url: ingests[1]!.url, port: Number(new URL(ingests[0]!.url).port), store },
    1_000,
    seconds,
  )
  await store.close()
  await drained(installation)
  return waits
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
  const waits = await measureFreshness(installation, options.seconds)
  const consumers = await benchConsumers(installation, {
    seconds: options.seconds / 3,
    rounds: Math.floor(options.rounds / 2),
  })
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
    ...consumers,
  ]
}
