import { checkFolds, dirtyDays, foldDays } from '@footfall/store/fold'
import { queryLedger, queryMetric } from '@footfall/store/metrics'
import { migrate } from '@footfall/store/migrate'
import { failedColumns, idColumns, ledgerColumns, toDateTime, toFailedRow, toIdRow } from '@footfall/store/rows'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  insertRecords,
  makeRecord,
  migrations,
  startTestEngine,
  type TestEngine,
} from '../../../shared/store/test/engine.ts'
import { expireEvents, forgetIds } from '../src/retention.ts'
import { eachCut } from './cut-off.ts'

const dayMs = 86_400_000
const now = Date.parse('2026-03-20T10:00:00Z')
const oldDay = '2025-01-10'
const old = Date.parse(`${oldDay}T12:00:00Z`)
const options = { months: 13, now }
const tables = ['events', 'failed_events', 'event_ids', 'ledger', 'day_marks', 'removals']
const folds = ['fold_daily', 'fold_dimensions', 'fold_journeys']

let engine: TestEngine
beforeAll(async () => {
  engine = await startTestEngine()
})
afterAll(() => engine.close())

const clear = async (names = [...tables, ...folds]): Promise<void> => {
  for (const table of names) await engine.store.command(`TRUNCATE TABLE ${table}`)
}
beforeEach(() => clear())

const fold = async (): Promise<void> =>
  foldDays(engine.store, await dirtyDays(engine.store, () => '2026-03-20'), { version: now })
const viewsOn = async (day: string): Promise<number | null | undefined> =>
  (
    await queryMetric(engine.store, 'page_views', {
      deployments: [{ id: 'a', time_zone: 'UTC' }],
      from: day,
      to: day,
      interval: 'total',
      now,
      unconsumedFrom: null,
    })
  ).rows[0]?.value
const ledgerRow = (deployment: string, base: number, read: number, failed = 0) =>
  engine.store.insert(
    'ledger',
    ledgerColumns,
    [['test', 0, base, base + read, deployment, read, read - failed, failed, 0, 0, toDateTime(now)]],
    null,
  )

/** Three events and a failed one that are past their time, and one event that is not. */
async function seed(): Promise<void> {
  const late = makeRecord({ at: old, late: true })
  await insertRecords(engine.store, [
    makeRecord({ at: old }),
    makeRecord({ at: old, deployment: 'b' }),
    makeRecord({ at: old + dayMs }),
    makeRecord({ at: now - 5 * dayMs }),
  ])
  await engine.store.insert(
    'failed_events',
    failedColumns,
    [toFailedRow(late, Buffer.from(JSON.stringify(late)), 'late', '', { logId: 'test', partition: 0, offset: 9 })],
    null,
  )
  await ledgerRow('a', 0, 4, 1)
  await ledgerRow('b', 4, 1)
}

describe('retention', () => {
  test.each([0, dayMs])(
    'counts events once, wherever a run is cut off, when the next one comes %i ms later',
    async (later) => {
      const cuts = await eachCut(engine.store, async (cut, name) => {
        await clear(['events', 'failed_events', 'ledger', 'removals'])
        await seed()
        await expireEvents(cut, options).catch(() => undefined)
        await expireEvents(engine.store, { ...options, now: now + later })
        expect(await queryLedger(engine.store), name).toMatchObject({
          read: 5,
          stored: 1,
          failed: 0,
          expired: 4,
          difference: 0,
        })
      })
      expect(cuts).toBe(5)
    },
    180_000,
  )

  test('leaves what could not be read and has no time', async () => {
    const position = { logId: 'test', partition: 0, offset: 1 }
    const row = toFailedRow({ received_at: 0 }, Buffer.from('?'), 'invalid_record', '', position)
    await engine.store.insert('failed_events', failedColumns, [row], null)
    await ledgerRow('', 0, 1, 1)
    expect(await expireEvents(engine.store, options)).toEqual({ events: 0, failed: 0 })
    expect(await queryLedger(engine.store)).toMatchObject({ failed: 1, expired: 0, difference: 0 })
  })

  test('leaves the sums of a day although an event of it comes when its others have gone', async () => {
    await insertRecords(engine.store, [makeRecord({ at: old }), makeRecord({ at: old })])
    await fold()
    await expireEvents(engine.store, options)
    await insertRecords(engine.store, [makeRecord({ at: old, received_at: now, source: 'import' })])
    expect(await viewsOn(oldDay)).toBe(2)
    await fold()
    expect([await viewsOn(oldDay), await dirtyDays(engine.store, () => '2026-03-20')]).toEqual([2, []])
    expect(await checkFolds(engine.store)).toEqual([])
  })

  test('leaves the journeys of a day although the day after, on which one ended, has lost its events', async () => {
    const journey = { visitor: '1', journey: 'pay', journey_id: 'j1' }
    await insertRecords(engine.store, [
      // Imported later than the event of the next day came: it stays.
      makeRecord({ at: old, received_at: now, name: 'journey_start', ...journey }),
      makeRecord({ at: old + dayMs, name: 'journey_complete', ...journey }),
    ])
    await fold()
    await expireEvents(engine.store, options)
    await insertRecords(engine.store, [makeRecord({ at: old, received_at: now })])
    await fold()
    const [row] = await engine.store.query<{ completed: number }>(
      `SELECT completed FROM journeys(deployments = ['a'], from = '${oldDay}', to = '${oldDay}')`,
    )
    expect(row?.completed).toBe(1)
    expect(await checkFolds(engine.store)).toEqual([])
  })

  test('leaves an access log of years ago alone until it is itself past its time', async () => {
    const imported = (at: number) => makeRecord({ at, received_at: now, source: 'import' })
    await seed()
    await fold()
    await expireEvents(engine.store, options)
    await insertRecords(engine.store, [imported(Date.parse('2020-05-01T10:00:00Z'))])
    await fold()
    expect(await viewsOn('2020-05-01')).toBe(1)
    // The afternoon of that day is in the next file.
    await insertRecords(engine.store, [imported(Date.parse('2020-05-01T15:00:00Z'))])
    await fold()
    await expireEvents(engine.store, { ...options, now: now + dayMs })
    expect([await viewsOn('2020-05-01'), await checkFolds(engine.store)]).toEqual([2, []])
  })

  test('keeps events for the longest retention that can be set: the table drops none before they are counted', async () => {
    const received = new Date()
    received.setUTCMonth(received.getUTCMonth() - 25)
    await insertRecords(engine.store, [makeRecord({ at: received.getTime() - 3 * dayMs })])
    await engine.store.command('OPTIMIZE TABLE events FINAL')
    const [row] = await engine.store.query<{ n: string }>('SELECT count() AS n FROM events')
    expect(Number(row?.n)).toBe(1)
    const { events } = await expireEvents(engine.store, { months: 25, now: Date.now() })
    expect(events).toBe(1)
  })
})

test('ids are forgotten although the ledger knows a former log, which is consumed no further', async () => {
  const record = makeRecord({ at: now - 20 * dayMs })
  const position = { logId: 'test', partition: 0, offset: 1 }
  await engine.store.insert('event_ids', idColumns, [toIdRow(record, position)], null)
  await engine.store.insert(
    'ledger',
    ledgerColumns,
    [['former', 0, 0, 1, 'a', 1, 1, 0, 0, 0, toDateTime(now - 30 * dayMs)]],
    null,
  )
  await ledgerRow('a', 0, 1)
  expect(await forgetIds(engine.store, 'test')).toEqual({ dropped: ['2026-02-28'] })
})

test('ids are noted as forgotten before the first of them goes, wherever a run is cut off', async () => {
  const position = { logId: 'test', partition: 0, offset: 1 }
  await eachCut(engine.store, async (cut, name) => {
    await clear(['event_ids', 'ledger', 'forgotten_ids'])
    await engine.store.insert('event_ids', idColumns, [toIdRow(makeRecord({ at: now - 20 * dayMs }), position)], null)
    await ledgerRow('a', 0, 1)
    await forgetIds(cut, 'test').catch(() => undefined)
    const [seen] = await engine.store.query<{ ids: string; before: string }>(
      'SELECT (SELECT count() FROM event_ids) AS ids, (SELECT max(before) FROM forgotten_ids) AS before',
    )
    if (seen!.ids === '0') expect(seen!.before, name).toBe('2026-03-16')
  })
})

test('an installation from before that was noted has forgotten what lies before its oldest id', async () => {
  const position = { logId: 'test', partition: 0, offset: 1 }
  await engine.store.insert('event_ids', idColumns, [toIdRow(makeRecord({ at: now }), position)], null)
  await engine.store.command('TRUNCATE TABLE forgotten_ids')
  await engine.store.command("ALTER TABLE migrations DELETE WHERE id = '0004-forgotten-ids'")
  expect((await migrate(engine.store, migrations, { backup: null })).applied).toEqual(['0004-forgotten-ids'])
  expect(await engine.store.query('SELECT before FROM forgotten_ids')).toEqual([{ before: '2026-03-20' }])
})
