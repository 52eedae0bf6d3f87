import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { topics } from '@footfall/contracts/event'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { openKafkaEventLog } from '@footfall/event-log/kafka'
import { openSpoolingEventLog } from '@footfall/event-log/spooling'
import { createIngest } from '@footfall/ingest/app'
import { openRegistry } from '@footfall/registry/registry'
import { createLogger } from '@footfall/telemetry/logger'
import { createMetrics } from '@footfall/telemetry/metrics'
import fastify from 'fastify'
import { benchCatalogue } from './load.ts'

/** What the process that forked this one may ask, and what it is told. */
export type AcceptQuestion = 'cpu' | 'stop'
export interface AcceptAnswer {
  readonly port?: number
  readonly cpuMicros?: number
  /** Events that went to the spool instead of Kafka. */
  readonly spooled?: number
}

// Ingest with every step and a durable log, and beside it a route that only parses: in one process, so that both are
// measured on the same one, and apart from the generator, so that its CPU time is not counted.
const directory = mkdtempSync(join(tmpdir(), 'footfall-bench-'))
const embedded = await openEmbeddedEventLog({ directory: join(directory, 'log') })
const [brokers] = process.argv.slice(2)
// As an ingest of its own has it: Kafka, and its own disk for what Kafka does not answer in time.
const log = brokers
  ? openSpoolingEventLog({
      connect: () =>
        openKafkaEventLog({ brokers: brokers.split(','), prefix: 'accept.', partitions: { [topics.events]: 24 } }),
      spool: embedded,
      topics: [topics.events],
    })
  : embedded
const registry = await openRegistry({ log, snapshotFile: join(directory, 'registry.json') })
await registry.apply(benchCatalogue, { actor: 'bench' })
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
app.post('/nothing', async (_request, reply) => reply.code(202).send({ accepted: 1, receipts: [] }))
await app.listen({ host: '127.0.0.1', port: 0 })
const tell = (answer: AcceptAnswer): void => void process.send!(answer)
tell({ port: (app.server.address() as AddressInfo).port })
process.on('message', (question: AcceptQuestion) => {
  if (question === 'stop') {
    rmSync(directory, { recursive: true, force: true })
    process.exit(0)
  }
  const { user, system } = process.cpuUsage()
  const answer = { cpuMicros: user + system }
  if ('spooled' in log) void log.spooled().then((spooled) => tell({ ...answer, spooled }))
  else tell(answer)
})
process.on('disconnect', () => process.exit(0))
