import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import naughtyStrings from 'big-list-of-naughty-strings/blns.json' with { type: 'json' }
import { topics } from '@footfall/contracts/event'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { createLogger } from '@footfall/telemetry/logger'
import { createMetrics } from '@footfall/telemetry/metrics'
import { expect, test } from 'vitest'
import { makeRecord, startTestEngine } from '../../../shared/store/test/engine.ts'
import { startConsumer } from '../src/consume.ts'

/** A text in every field that takes any. */
const everywhere = (text: string) => ({
  path: text,
  screen: text,
  host: text,
  referrer: text,
  props: { [text]: text },
  journey: text,
  journey_id: text,
  journey_step: text,
  outcome: text,
  dataset: text,
  app_version: text,
  browser: text,
  country: text,
})

test('naughty strings lie in the store as they stood in the log', async () => {
  const engine = await startTestEngine()
  const directory = await mkdtemp(join(tmpdir(), 'footfall-naughty-'))
  const log = await openEmbeddedEventLog({ directory, minFreeBytes: 0 })
  const at = Date.now()
  const records = naughtyStrings.map((text) => makeRecord({ at, ...everywhere(text) }))
  await log.append(
    topics.events,
    records.map((record) => ({ key: record.id, value: JSON.stringify(record) })),
  )
  let consumed: () => void = () => undefined
  const done = new Promise<void>((resolve) => (consumed = resolve))
  const consumer = await startConsumer({
    log,
    store: engine.store,
    logger: createLogger('silent'),
    metrics: createMetrics(),
    limits: { maxRecords: 10_000, maxBytes: 8_000_000, flushIntervalMs: 1 },
    onPoint: (point, { end }) => (point === 'advanced' && end === records.length ? consumed() : undefined),
  })
  await Promise.race([done, consumer.done])
  const columns = Object.keys(everywhere('')).join(', ')
  const rows = await engine.store.query(`SELECT ${columns} FROM events ORDER BY offset`)
  expect(rows).toEqual(naughtyStrings.map(everywhere))
  await consumer.close()
  await log.close()
  await engine.close()
  await rm(directory, { recursive: true, force: true })
})
