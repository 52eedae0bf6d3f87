import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { startConsumer } from '@footfall/consumer/consume'
import { topics, type EventRecord } from '@footfall/contracts/event'
import { openEngine, newOperationId } from '@footfall/embedded-clickhouse/engine'
import { createHttpServer } from '@footfall/embedded-clickhouse/http'
import { blankRecord } from '@footfall/enrichment/blank-record'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { migrate } from '@footfall/store/migrate'
import { openStore } from '@footfall/store/open'
import { eventColumns, toEventRow } from '@footfall/store/rows'
import { createLogger } from '@footfall/telemetry/logger'
import { createMetrics } from '@footfall/telemetry/metrics'

export interface LogToStoreResult {
  /** Rows a second, a pair a round. */
  readonly rounds: readonly { readonly ours: number; readonly limit: number }[]
}

// A process of its own, because it holds the engine: the limit reads its rows with file(), which the HTTP interface refuses.
const batchRows = 10_000
const batches = 10
const directory = mkdtempSync(join(tmpdir(), 'footfall-bench-'))
const engine = await openEngine({
  directory: join(directory, 'store'),
  backupsDirectory: join(directory, 'backups'),
  memoryBytes: 600_000_000,
})
const server = createHttpServer({ engine, user: 'default', password: 'bench' })
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const { port } = server.address() as AddressInfo
const store = openStore({ url: `http://127.0.0.1:${port}/footfall`, user: 'default', password: 'bench' })
await migrate(store, join(findRoot(), 'shared/store/migrations'))
await store.command('CREATE TABLE limit_events AS events')
const types = new Map(
  (await store.query<{ name: string; type: string }>('DESCRIBE TABLE events')).map(({ name, type }) => [name, type]),
)
const structure = eventColumns.map((name) => `\`${name}\` ${types.get(name)}`).join(', ')
const columns = eventColumns.map((name) => `\`${name}\``).join(', ')
const log = await openEmbeddedEventLog({ directory: join(directory, 'log') })
const files = join(directory, 'rows')
mkdirSync(files)

let made = 0
const started = Date.now()
/** Rows with as much variety as a programme of 20 deployments has. */
function makeRecord(): EventRecord {
  const number = made++
  const at = started - Math.floor(Math.random() * 3_600_000)
  const hex = at.toString(16).padStart(12, '0')
  return {
    ...blankRecord,
    id: `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${number.toString(16).padStart(12, '0')}`,
    deployment: `deployment-${number % 20}`,
    source: 'beacon',
    received_at: started,
    at,
    local_day: new Date(at).toISOString().slice(0, 10),
    local_hour: new Date(at).getUTCHours(),
    name: 'page_view',
    host: 'app.example',
    path: `/page/${Math.floor(Math.random() * 200)}`,
    referrer: number % 3 === 0 ? 'search.example' : '',
    props: { section: 'schools', language: 'fi' },
    device: number % 2 === 0 ? 'mobile' : 'desktop',
    browser: 'Firefox',
    system: 'Linux',
    country: 'FI',
    visitor: String(BigInt(Math.floor(Math.random() * 2 ** 52)) * 4096n),
    page_id: Math.random().toString(36).slice(2),
    seq: number % 5,
    content: number,
  }
}

let consumed = 0
let reached: () => void = () => undefined
const consumer = await startConsumer({
  log,
  store,
  logger: createLogger('silent'),
  metrics: createMetrics(),
  limits: { maxRecords: batchRows, maxBytes: 64_000_000, flushIntervalMs: 200 },
  onPoint: (point, range) => {
    if (point !== 'advanced') return
    consumed = range.end
    reached()
  },
})
const result: { ours: number; limit: number }[] = []
for (let round = 0; round <= Number(process.argv[2]); round++) {
  const release = await consumer.pause()
  const paths: string[] = []
  for (let batch = 0; batch < batches; batch++) {
    const records = Array.from({ length: batchRows }, makeRecord)
    const { positions } = await log.append(
      topics.events,
      records.map((record) => ({ key: record.deployment + record.id, value: JSON.stringify(record) })),
    )
    const path = join(files, `${round}-${batch}.jsonl`)
    writeFileSync(
      path,
      records
        .map((record, index) => JSON.stringify(toEventRow(record, { logId: log.logId, ...positions[index]! })))
        .join('\n'),
    )
    paths.push(path)
  }
  const end = made
  let began = performance.now()
  release()
  await new Promise<void>((resolve) => {
    reached = () => (consumed >= end ? resolve() : undefined)
    reached()
  })
  const ours = (batches * batchRows) / ((performance.now() - began) / 1_000)
  began = performance.now()
  for (const path of paths) {
    await engine.run(
      'insert',
      { id: newOperationId(), database: 'footfall', settings: new Map(), parameters: new Map() },
      (session) =>
        session.queryAsync(
          `INSERT INTO limit_events (${columns}) SELECT ${columns} FROM file('${path}', 'JSONCompactEachRow', '${structure.replaceAll("'", "\\'")}')`,
        ),
    )
  }
  const limit = (batches * batchRows) / ((performance.now() - began) / 1_000)
  // The first round warms both up.
  if (round > 0) result.push({ ours, limit })
}
process.send!({ rounds: result } satisfies LogToStoreResult)
rmSync(directory, { recursive: true, force: true })
