import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { queryLedger } from '@footfall/store/metrics'
import type { Store } from '@footfall/store/open'
import { createLogger } from '@footfall/telemetry/logger'
import { createMetrics } from '@footfall/telemetry/metrics'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeRecord, startTestEngine, type TestEngine } from '../../../shared/store/test/engine.ts'
import { startConsumer } from '../src/consume.ts'

const tables = ['events', 'failed_events', 'event_ids', 'ledger'] as const
let engine: TestEngine

beforeAll(async () => {
  engine = await startTestEngine()
})
afterAll(() => engine.close())

/** A store whose engine dies, once, after it has noted the token of an insert and before the rows are safe. */
function forgetsRowsOf(store: Store, table: string): Store {
  let isOver = false
  return {
    ...store,
    async insert(into, columns, rows, token) {
      await store.insert(into, columns, rows, token)
      if (into !== table || isOver) return
      isOver = true
      await store.command(`ALTER TABLE ${table} DELETE WHERE true`)
      throw new PipelineError('STORE_UNAVAILABLE', 'The engine was killed.')
    },
  }
}

test.each(tables)(
  'stores a batch whole although the engine, killed during the insert, kept a token of %s without its rows',
  async (table) => {
    for (const name of [...tables, 'day_marks']) await engine.store.command(`TRUNCATE TABLE ${name}`)
    const directory = await mkdtemp(join(tmpdir(), 'footfall-consumer-'))
    const log = await openEmbeddedEventLog({ directory, minFreeBytes: 0 })
    const at = Date.now()
    const first = Array.from({ length: 20 }, (_, index) => makeRecord({ at, late: index === 7 }))
    const append = (records: typeof first) =>
      log.append(
        topics.events,
        records.map((record) => ({ key: record.deployment + record.id, value: JSON.stringify(record) })),
      )
    let reached: (end: number) => void = () => undefined
    const consumer = await startConsumer({
      log,
      store: forgetsRowsOf(engine.store, table),
      logger: createLogger('silent'),
      metrics: createMetrics(),
      limits: { maxRecords: 1_000, maxBytes: 8_000_000, flushIntervalMs: 1 },
      wait: async () => undefined,
      onPoint: (point, { end }) => point === 'advanced' && reached(end),
    })
    const consumed = (end: number): Promise<void> =>
      new Promise((resolve) => (reached = (at) => at === end && resolve()))
    try {
      const whole = consumed(20)
      await append(first)
      await Promise.race([whole, consumer.done])
      // Their ids are known: second copies are.
      const again = consumed(40)
      await append(first)
      await Promise.race([again, consumer.done])
      const count = async (name: string): Promise<number> =>
        Number((await engine.store.query<{ n: string }>(`SELECT count() AS n FROM ${name}`))[0]?.n)
      expect([await count('events'), await count('failed_events')]).toEqual([19, 1])
      expect(await queryLedger(engine.store)).toMatchObject({
        read: 40,
        stored: 19,
        failed: 1,
        deduplicated: 20,
        difference: 0,
      })
    } finally {
      await consumer.close()
      await log.close()
      await rm(directory, { recursive: true })
    }
  },
)

test('a consumer that slept while it put rows back that a token had kept out doubles nothing of its heir', async () => {
  for (const name of [...tables, 'day_marks']) await engine.store.command(`TRUNCATE TABLE ${name}`)
  const directory = await mkdtemp(join(tmpdir(), 'footfall-consumer-'))
  const log = await openEmbeddedEventLog({ directory, minFreeBytes: 0 })
  const at = Date.now()
  await log.append(
    topics.events,
    Array.from({ length: 20 }, () => makeRecord({ at })).map((record) => ({
      key: record.deployment + record.id,
      value: JSON.stringify(record),
    })),
  )
  const parts = {
    logger: createLogger('silent'),
    metrics: createMetrics(),
    limits: { maxRecords: 1_000, maxBytes: 8_000_000, flushIntervalMs: 1 },
    wait: async () => undefined,
  }
  let fallAsleep: () => void = () => undefined
  const asleep = new Promise<void>((resolve) => (fallAsleep = resolve))
  let wakeUp: () => void = () => undefined
  const awake = new Promise<void>((resolve) => (wakeUp = resolve))
  const forgetful = forgetsRowsOf(engine.store, 'events')
  const sleeper = await startConsumer({
    ...parts,
    // It does not hear that its partition is gone.
    log: {
      ...log,
      consume: (topic, group, handlers) => log.consume(topic, group, { ...handlers, onRevoked: () => undefined }),
    },
    store: {
      ...forgetful,
      async insert(into, columns, rows, token) {
        if (token?.includes(':again')) {
          fallAsleep()
          await awake
        }
        return forgetful.insert(into, columns, rows, token)
      },
    },
  })
  await Promise.race([asleep, sleeper.done])
  let finish: () => void = () => undefined
  const finished = new Promise<void>((resolve) => (finish = resolve))
  const heir = await startConsumer({
    ...parts,
    log,
    store: engine.store,
    onPoint: (point) => point === 'advanced' && finish(),
  })
  try {
    await Promise.race([finished, heir.done])
    wakeUp()
    await expect(sleeper.done).rejects.toMatchObject({ code: 'FENCED' })
    const [row] = await engine.store.query<{ n: string }>('SELECT count() AS n FROM events')
    expect(Number(row?.n)).toBe(20)
  } finally {
    await sleeper.close().catch(() => undefined)
    await heir.close()
    await log.close()
    await rm(directory, { recursive: true })
  }
})
