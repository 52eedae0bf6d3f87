import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { topics } from '@footfall/contracts/event'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { queryLedger } from '@footfall/store/metrics'
import { createLogger } from '@footfall/telemetry/logger'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { makeRecord, startTestEngine, type TestEngine } from '../../../shared/store/test/engine.ts'
import { consumeRest } from '../src/move/consume-rest.ts'

const config = { BATCH_MAX_RECORDS: 1_000, BATCH_MAX_BYTES: 8_000_000 }
let engine: TestEngine
let directory: string
let log: Awaited<ReturnType<typeof openEmbeddedEventLog>>

beforeAll(async () => {
  engine = await startTestEngine()
})
afterAll(() => engine.close())
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'footfall-rest-'))
  log = await openEmbeddedEventLog({ directory, minFreeBytes: 0 })
})
afterEach(async () => {
  await log.close()
  await rm(directory, { recursive: true, force: true })
})

const consume = (): Promise<void> => consumeRest(config, { log, store: engine.store, logger: createLogger('silent') })
/** Timers that keep the process from ending. */
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

test('ends at the end of the log, with all of it in the store', async () => {
  const records = Array.from({ length: 20 }, () => makeRecord({ at: Date.now() }))
  await log.append(
    topics.events,
    records.map((record) => ({ key: record.id, value: JSON.stringify(record) })),
  )
  await consume()
  expect(await queryLedger(engine.store)).toMatchObject({ read: 20, stored: 20, difference: 0 })
})

test('fails with what stopped the consumer, and leaves nothing behind that keeps the process from ending', async () => {
  await log.append(
    topics.events,
    Array.from({ length: 150 }, (_, index) => ({ key: String(index), value: 'no event' })),
  )
  const before = timers()
  await expect(consume()).rejects.toMatchObject({ code: 'POISONED' })
  while (timers() > before) await new Promise((resolve) => setImmediate(resolve))
})
