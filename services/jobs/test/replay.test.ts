import type { EventRecord } from '@footfall/contracts/event'
import { queryLedger } from '@footfall/store/metrics'
import type { Store } from '@footfall/store/open'
import { failedColumns, ledgerColumns, toDateTime, toFailedRow } from '@footfall/store/rows'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { makeRecord, startTestEngine, type TestEngine } from '../../../shared/store/test/engine.ts'
import { replayFailed } from '../src/replay.ts'

const at = Date.parse('2026-03-10T12:00:00Z')
const options = { now: () => at, signal: new AbortController().signal }

let engine: TestEngine
beforeAll(async () => {
  engine = await startTestEngine()
})
afterAll(() => engine.close())
beforeEach(async () => {
  for (const table of ['events', 'failed_events', 'ledger', 'day_marks'])
    await engine.store.command(`TRUNCATE TABLE ${table}`)
})

/** Puts late records into `failed_events` and the ledger, a record an offset. */
async function fail(records: readonly EventRecord[]): Promise<void> {
  await engine.store.insert(
    'failed_events',
    failedColumns,
    records.map((record, offset) =>
      toFailedRow(record, Buffer.from(JSON.stringify(record)), 'late', '', { logId: 'test', partition: 0, offset }),
    ),
    null,
  )
  await engine.store.insert(
    'ledger',
    ledgerColumns,
    [['test', 0, 0, records.length, 'a', records.length, 0, records.length, 0, 0, toDateTime(at)]],
    null,
  )
}
/** What the record's schema lets through and the store does not. */
const refused = () => makeRecord({ at, late: true, visitor: 'nobody' })
const good = (more: Partial<EventRecord> = {}) => makeRecord({ at, late: true, ...more })

describe('replay', () => {
  test('takes every row but the one that the store refuses, which stays with its reason', async () => {
    await fail([...Array.from({ length: 1_400 }, (_, index) => (index === 3 ? refused() : good()))])
    const result = await replayFailed(engine.store, {}, options)
    expect(result).toEqual({ replayed: 1_399, refused: 1, unreadable: 0 })
    expect(await queryLedger(engine.store)).toMatchObject({ stored: 1_399, failed: 1, difference: 0 })
    expect(
      await engine.store.query(
        'SELECT reason, toUInt32(offset) AS offset FROM failed_events WHERE replayed_at IS NULL',
      ),
    ).toEqual([{ reason: 'late', offset: 3 }])
  })

  test('ends although the engine kept a token of the rows without the rows', async () => {
    await fail([good(), good()])
    const forgetful: Store = {
      ...engine.store,
      async insert(table, columns, rows, token) {
        // The engine notes a token before the rows are safe.
        if (table === 'events' && token !== null) return
        await engine.store.insert(table, columns, rows, token)
      },
    }
    expect(await replayFailed(forgetful, {}, options)).toMatchObject({ replayed: 2 })
    expect(await queryLedger(engine.store)).toMatchObject({ stored: 2, failed: 0, difference: 0 })
  })

  test('ends although no row gets into the store', async () => {
    await fail([good(), good()])
    const losing: Store = { ...engine.store, insert: async () => undefined }
    expect(await replayFailed(losing, {}, options)).toEqual({ replayed: 0, refused: 2, unreadable: 0 })
  })

  test('stops when the queue closes', async () => {
    await fail([good()])
    await expect(replayFailed(engine.store, {}, { ...options, signal: AbortSignal.abort() })).rejects.toThrow()
    expect(await queryLedger(engine.store)).toMatchObject({ stored: 0, failed: 1 })
  })

  test('of a completed journey marks the day before, which may have its start, and the day after, as any event', async () => {
    await fail([good({ name: 'journey_complete', journey: 'pay' })])
    await replayFailed(engine.store, {}, options)
    expect(await engine.store.query('SELECT toString(local_day) AS day FROM day_marks ORDER BY day')).toEqual([
      { day: '2026-03-09' },
      { day: '2026-03-10' },
      { day: '2026-03-11' },
    ])
  })
})
