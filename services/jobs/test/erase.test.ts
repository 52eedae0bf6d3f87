import type { Job } from '@footfall/job-queue'
import { checkFolds, dirtyDays, foldDays } from '@footfall/store/fold'
import { queryLedger } from '@footfall/store/metrics'
import type { Store } from '@footfall/store/open'
import { failedColumns, idColumns, ledgerColumns, toDateTime, toFailedRow, toIdRow } from '@footfall/store/rows'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { insertRecords, makeRecord, startTestEngine, type TestEngine } from '../../../shared/store/test/engine.ts'
import { erase, type EraseParts } from '../src/erase.ts'
import { expireEvents } from '../src/retention.ts'
import { eachCut } from './cut-off.ts'

const day = '2026-03-10'
const at = Date.parse(`${day}T12:00:00Z`)
const now = Date.parse('2026-03-20T10:00:00Z')
const end = 1e12
const tables = ['events', 'failed_events', 'event_ids', 'ledger', 'day_marks', 'removals', 'refusals', 'fold_daily']

let engine: TestEngine
beforeAll(async () => {
  engine = await startTestEngine()
})
afterAll(() => engine.close())
beforeEach(async () => {
  for (const table of tables) await engine.store.command(`TRUNCATE TABLE ${table}`)
})

/** Runs an erasure of deployment `a`; the job's checkpoint is kept between runs with the same id. */
const run = (id: string, store: Store, payload: object = {}) => {
  const job = { id, payload: { deployment: 'a', ...payload }, progress: { done: 0, total: 4, checkpoint: { end } } }
  const parts: EraseParts = {
    store,
    log: { logId: 'test', partitions: async () => [{ partition: 0, start: 0, end }] } as unknown as EraseParts['log'],
    consumedTo: async () => undefined,
    timeZoneOf: () => 'Pacific/Auckland',
    refold: async () => undefined,
    now: () => now,
  }
  return erase(job as unknown as Job, { signal: AbortSignal.abort(), progress: async () => undefined }, parts)
}
const count = async (table: string, where = 'true'): Promise<number> =>
  Number((await engine.store.query<{ n: string }>(`SELECT count() AS n FROM ${table} WHERE ${where}`))[0]?.n)
const fold = async (): Promise<void> =>
  foldDays(engine.store, await dirtyDays(engine.store, () => '2026-03-20'), { version: now })

/** Two events and a failed one of deployment `a`, and one of another. */
async function seed(): Promise<void> {
  for (const table of ['events', 'failed_events', 'ledger', 'removals'])
    await engine.store.command(`TRUNCATE TABLE ${table}`)
  const late = makeRecord({ at, late: true })
  await insertRecords(engine.store, [makeRecord({ at }), makeRecord({ at }), makeRecord({ at, deployment: 'b' })])
  await engine.store.insert(
    'failed_events',
    failedColumns,
    [toFailedRow(late, Buffer.from(JSON.stringify(late)), 'late', '', { logId: 'test', partition: 0, offset: 9 })],
    null,
  )
  await engine.store.insert(
    'ledger',
    ledgerColumns,
    [
      ['test', 0, 0, 3, 'a', 3, 2, 1, 0, 0, toDateTime(now)],
      ['test', 0, 3, 4, 'b', 1, 1, 0, 0, 0, toDateTime(now)],
    ],
    null,
  )
}
const whole = { read: 4, stored: 1, failed: 0, erased: 3, difference: 0 }

describe('erasure', () => {
  test('counts events once, wherever it is cut off, and its next attempt says how many went', async () => {
    const cuts = await eachCut(engine.store, async (cut, name) => {
      await seed()
      await run('one', cut).catch(() => undefined)
      expect(await run('one', engine.store), name).toEqual({ events: 2, failed: 1 })
      expect(await queryLedger(engine.store), name).toMatchObject(whole)
    })
    expect(cuts).toBe(8)
  }, 180_000)

  test('counts events once when it is asked for again after its attempts ran out', async () => {
    await eachCut(engine.store, async (cut, name) => {
      await seed()
      await run('one', cut).catch(() => undefined)
      await run('two', engine.store)
      expect(await queryLedger(engine.store), name).toMatchObject(whole)
    })
  }, 180_000)

  test('that was cut off is finished before retention counts the same events', async () => {
    await eachCut(engine.store, async (cut, name) => {
      await seed()
      await run('one', cut).catch(() => undefined)
      await expireEvents(engine.store, { months: 1, now: now + 60 * 86_400_000 })
      expect(await queryLedger(engine.store), name).toMatchObject({ read: 4, stored: 0, failed: 0, difference: 0 })
    })
  }, 180_000)

  test('takes the refusals of the deployment’s own days', async () => {
    // 11 March in Auckland begins at 11:00 on 10 March in UTC.
    await engine.store.insert(
      'refusals',
      ['deployment', 'minute', 'reason', 'refused'],
      ['2026-03-10 10:59:00', '2026-03-10 11:00:00', '2026-03-11 10:59:00', '2026-03-11 11:00:00'].map((minute) => [
        'a',
        minute,
        'malformed',
        1,
      ]),
      null,
    )
    await run('one', engine.store, { from: '2026-03-11', to: '2026-03-11' })
    expect(await engine.store.query('SELECT toString(minute) AS minute FROM refusals ORDER BY minute')).toEqual([
      { minute: '2026-03-10 10:59:00' },
      { minute: '2026-03-11 11:00:00' },
    ])
  })

  test('takes the ids of imports that failed or have expired: their lines may be imported again', async () => {
    const of = (more: object) => makeRecord({ at, source: 'import', ...more })
    const records = [of({}), of({}), of({ at: at - 86_400_000 }), of({ source: 'beacon' })]
    await engine.store.insert(
      'event_ids',
      idColumns,
      records.map((record, offset) => toIdRow(record, { logId: 'test', partition: 0, offset })),
      null,
    )
    // Of the two that go, one is among the failed ones, the other in no table.
    const [failed] = records
    await engine.store.insert(
      'failed_events',
      failedColumns,
      [toFailedRow(failed!, Buffer.alloc(0), 'refused_by_store', '', { logId: 'test', partition: 0, offset: 0 })],
      null,
    )
    await run('one', engine.store, { from: day, to: day })
    expect(await engine.store.query('SELECT toUInt32(offset) AS offset FROM event_ids ORDER BY offset')).toEqual([
      { offset: 2 },
      { offset: 3 },
    ])
  })

  test('takes the sums of a day whose events have expired', async () => {
    await insertRecords(engine.store, [makeRecord({ at })])
    await fold()
    await expireEvents(engine.store, { months: 1, now: now + 60 * 86_400_000 })
    expect(await count('fold_daily')).toBe(1)
    await run('one', engine.store)
    await fold()
    expect(await count('fold_daily')).toBe(0)
  })

  test('folds the day before again: a journey of it had ended on the day that goes', async () => {
    const journey = { visitor: '1', journey: 'pay', journey_id: 'j1' }
    await insertRecords(engine.store, [
      makeRecord({ at: at - 86_400_000, name: 'journey_start', ...journey }),
      makeRecord({ at, name: 'journey_complete', ...journey }),
    ])
    await fold()
    await run('one', engine.store, { from: day, to: day })
    await fold()
    expect(await checkFolds(engine.store)).toEqual([])
  })
})
