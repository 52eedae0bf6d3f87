import { createLogger } from '@footfall/telemetry/logger'
import { createMetrics, type Metrics } from '@footfall/telemetry/metrics'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { insertRecords, makeRecord, startTestEngine, type TestEngine } from '../../../shared/store/test/engine.ts'
import { createPassingTime, type PassingTime } from '../../../test/passing-time.ts'
import { watchLedger } from '../src/watch-ledger.ts'

let engine: TestEngine
let metrics: Metrics
let time: PassingTime
let watch: ReturnType<typeof watchLedger>
beforeEach(async () => {
  engine = await startTestEngine()
  metrics = createMetrics()
  time = createPassingTime()
})
afterEach(async () => {
  await watch.close()
  await engine.close()
})

const start = () =>
  (watch = watchLedger({ store: engine.store, metrics, logger: createLogger('silent'), wait: time.wait }))
const shown = async (): Promise<string | undefined> =>
  /^footfall_ledger_difference (.+)$/m.exec(await metrics.registry.metrics())?.[1]
const enter = () =>
  engine.store.insert(
    'ledger',
    ['log_id', 'partition', 'base', 'end', 'deployment', 'read', 'stored', 'failed', 'deduplicated', 'conflicting'],
    [['test', 0, 0, 1, 'a', 1, 1, 0, 0, 0]],
    null,
  )

test('what the ledger cannot account for is a number, and none while the store is away', async () => {
  expect(await shown()).toBeUndefined()
  await insertRecords(engine.store, [makeRecord({ at: Date.parse('2026-03-15T12:00:00Z') })])
  start()
  for (let looks = 1; looks < 4; looks++) await time.pass(1_000)
  await time.reached(60_000)
  expect(await shown()).toBe('-1')
  await enter()
  await time.pass(60_000)
  await time.reached(60_000)
  expect(await shown()).toBe('0')
  await engine.engine.close()
  await time.pass(60_000)
  await time.reached(60_000)
  expect(await shown()).toBeUndefined()
})

test('a batch that has its rows and not yet its entry is no difference', async () => {
  await insertRecords(engine.store, [makeRecord({ at: Date.parse('2026-03-15T12:00:00Z') })])
  start()
  await time.reached(1_000)
  expect(await shown()).toBeUndefined()
  await enter()
  await time.pass(1_000)
  await time.reached(60_000)
  expect(await shown()).toBe('0')
})
