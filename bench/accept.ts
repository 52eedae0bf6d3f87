import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { createIngest } from '@footfall/ingest/app'
import { openRegistry } from '@footfall/registry/registry'
import { findRoot } from '@footfall/config/root'
import { createLogger } from '@footfall/telemetry/logger'
import { createMetrics } from '@footfall/telemetry/metrics'
import fastify from 'fastify'
import { atLeast, atMost, median, type Row } from './row.ts'

const rounds = 3

interface Measured {
  readonly perSecond: number
  readonly cpuMicros: number
}

/** Runs the generator in a thread; its CPU time is taken off the process's. */
async function load(port: number, path: string, eventsPerRequest: number, seconds: number): Promise<Measured> {
  const before = process.cpuUsage()
  const worker = new Worker(join(findRoot(), 'dist/generator.js'), {
    workerData: { port, path, connections: 64, seconds, eventsPerRequest, key: 'pk_bench_key' },
  })
  const began = performance.now()
  const { answered } = await new Promise<{ answered: number }>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  const elapsed = (performance.now() - began) / 1_000
  const spent = process.cpuUsage(before)
  await worker.terminate()
  return { perSecond: answered / elapsed, cpuMicros: (spent.user + spent.system) / answered }
}

/** The accept path with every step and a durable log, against routes that do nothing, in turns in the same process. */
export async function benchAccept(seconds: number): Promise<Row[]> {
  const directory = await mkdtemp(join(tmpdir(), 'footfall-bench-'))
  const log = await openEmbeddedEventLog({ directory: join(directory, 'log') })
  const registry = await openRegistry({ log, snapshotFile: join(directory, 'registry.json') })
  await registry.apply(
    {
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
    { actor: 'bench' },
  )
  const ingest = createIngest({
    log,
    registry,
    metrics: createMetrics(),
    logger: createLogger('silent'),
    sdk: { script: Buffer.from(''), immutablePath: '/x.js', integrity: 'sha384-x', version: '0' },
    saltsFile: join(directory, 'salts.json'),
    config: {
      TRUSTED_PROXIES: [],
      RATE_LIMIT_PER_KEY: 10_000_000,
      RATE_LIMIT_PER_ADDRESS: 10_000_000,
      MAX_BODY_BYTES: 65_536,
      MAX_SERVER_BODY_BYTES: 524_288,
      RETENTION_MONTHS: 13,
      GEO_DATABASE: null,
      COUNTRY_HEADER: null,
    },
    notReady: () => null,
  })
  const app = fastify()
  await ingest.register(app)
  // A route that only parses the same body, as fastify does by itself.
  app.post('/nothing', async (_request, reply) => reply.code(202).send({ accepted: 1, receipts: [] }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const each = Math.max(1, seconds / 2)
  const compare = async (
    eventsPerRequest: number,
  ): Promise<{ rate: number; cpu: number; ours: number; oursPerSecond: number }> => {
    const pairs: { rate: number; cpu: number; ours: number; oursPerSecond: number }[] = []
    await load(port, '/nothing', eventsPerRequest, 1)
    await load(port, '/v1/events', eventsPerRequest, 1)
    for (let round = 0; round < rounds; round++) {
      const nothing = await load(port, '/nothing', eventsPerRequest, each)
      const ours = await load(port, '/v1/events', eventsPerRequest, each)
      pairs.push({
        rate: ours.perSecond / nothing.perSecond,
        cpu: ours.cpuMicros / nothing.cpuMicros,
        ours: ours.cpuMicros,
        oursPerSecond: ours.perSecond,
      })
    }
    const of = (name: 'rate' | 'cpu' | 'ours' | 'oursPerSecond'): number => median(pairs.map((pair) => pair[name]))
    return { rate: of('rate'), cpu: of('cpu'), ours: of('ours'), oursPerSecond: of('oursPerSecond') }
  }
  const single = await compare(1)
  const batched = await compare(20)
  await app.close()
  await registry.close()
  await log.close()
  await rm(directory, { recursive: true, force: true })
  return [
    atLeast(
      'accept, durable, 1 event a request, 64 connections: requests/s as a share of a route that does nothing',
      single.rate,
      '×',
      0.6,
    ),
    atMost(
      'accept, durable, 1 event a request: CPU against the same route, generator included on both sides',
      single.cpu,
      '×',
      1.8,
    ),
    atLeast(
      'accept, durable, 20 events a request: events/s as a share of a route that only parses',
      batched.rate,
      '×',
      0.55,
    ),
    atMost('accept, durable, 20 events a request: CPU an event, generator included', batched.ours / 20, 'µs', 8),
  ]
}
