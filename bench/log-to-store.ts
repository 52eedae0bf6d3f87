import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { startConsumer } from '@footfall/consumer/consume'
import { topics, type EventRecord } from '@footfall/contracts/event'
import { blankRecord } from '@footfall/enrichment/blank-record'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { migrate } from '@footfall/store/migrate'
import { openStore } from '@footfall/store/open'
import { eventColumns, toEventRow } from '@footfall/store/rows'
import { createLogger } from '@footfall/telemetry/logger'
import { createMetrics } from '@footfall/telemetry/metrics'
import type { EngineAnswer } from './engine-process.ts'
import { atLeast, median, type Row } from './row.ts'

const batchRows = 10_000
const batches = 20

/** Makes records with as much variety as a programme of 20 deployments has. */
function createRecords(): () => EventRecord {
  const started = Date.now()
  let made = 0
  return () => {
    const number = made++
    // Ids begin with their time, so those of a batch lie together: 20,000 events a second.
    const at = started - 3_600_000 + Math.floor(number / 20)
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
}

/** From the log into the store in batches of 10,000, against the same engine reading the same rows from a file. */
export async function benchLogToStore(rounds: number): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'footfall-bench-'))
  const engine = fork(join(findRoot(), 'dist/engine-process.js'), [directory], {
    execArgv: [],
    env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
  })
  const answer = async (): Promise<EngineAnswer> => ((await once(engine, 'message')) as [EngineAnswer])[0]
  const { port } = await answer()
  const store = openStore({ url: `http://127.0.0.1:${port}/footfall`, user: 'default', password: 'bench' })
  await migrate(store, join(findRoot(), 'shared/store/migrations'), { backup: null })
  await store.command('CREATE TABLE limit_events AS events')
  const types = new Map(
    (await store.query<{ name: string; type: string }>('DESCRIBE TABLE events')).map(({ name, type }) => [name, type]),
  )
  const structure = eventColumns
    .map((name) => `\`${name}\` ${types.get(name)}`)
    .join(', ')
    .replaceAll("'", "\\'")
  const columns = eventColumns.map((name) => `\`${name}\``).join(', ')
  const log = await openEmbeddedEventLog({ directory: join(directory, 'log') })
  const files = join(directory, 'rows')
  mkdirSync(files)
  const makeRecord = createRecords()
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
  const pairs: { ours: number; limit: number }[] = []
  let end = 0
  for (let round = 0; round <= rounds; round++) {
    const release = await consumer.pause()
    const paths: string[] = []
    for (let batch = 0; batch < batches; batch++) {
      const records = Array.from({ length: batchRows }, makeRecord)
      const { positions } = await log.append(
        topics.events,
        records.map((record) => ({ key: record.deployment + record.id, value: JSON.stringify(record) })),
      )
      const path = join(files, `${round}-${batch}.jsonl`)
      const rows = records.map((record, index) => toEventRow(record, { logId: log.logId, ...positions[index]! }))
      writeFileSync(path, rows.map((row) => JSON.stringify(row)).join('\n'))
      paths.push(path)
    }
    end += batches * batchRows
    const began = performance.now()
    release()
    await new Promise<void>((resolve) => {
      reached = () => (consumed >= end ? resolve() : undefined)
      reached()
    })
    const ours = (batches * batchRows) / ((performance.now() - began) / 1_000)
    let limitMs = 0
    for (const path of paths) {
      const done = answer()
      engine.send(
        `INSERT INTO limit_events (${columns}) SELECT ${columns} FROM file('${path}', 'JSONCompactEachRow', '${structure}')`,
      )
      limitMs += (await done).ms!
    }
    // The first round warms both up.
    if (round > 0) pairs.push({ ours, limit: (batches * batchRows) / (limitMs / 1_000) })
  }
  await consumer.close()
  await log.close()
  await store.close()
  engine.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
  return [
    atLeast('log to store, batches of 10,000: rows/s against INSERT SELECT FROM file() of the same rows', {
      value: median(pairs.map(({ ours, limit }) => ours / limit)),
      unit: '×',
      target: 0.5,
      note: `${Math.round(median(pairs.map(({ ours }) => ours)))} rows/s, the engine alone ${Math.round(median(pairs.map(({ limit }) => limit)))}`,
    }),
  ]
}
