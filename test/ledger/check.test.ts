import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { dirtyDays, foldDays } from '@footfall/store/fold'
import { insertRecords, makeRecord, startTestEngine, type TestEngine } from '../../shared/store/test/engine.ts'
import { checkLedger, isClean } from './check.ts'
import type { Journal } from './load.ts'

const at = Date.UTC(2026, 2, 3, 12)

describe('the ledger checker', () => {
  let engine: TestEngine
  let journal: Journal
  let ids: string[]

  beforeAll(async () => {
    engine = await startTestEngine()
  })
  afterAll(() => engine.close())
  beforeEach(async () => {
    const { store } = engine
    for (const table of ['events', 'failed_events', 'ledger', 'day_marks', 'fold_days', 'fold_daily', 'fold_dimensions', 'fold_journeys']) {
      await store.command(`TRUNCATE TABLE ${table}`)
    }
    const records = Array.from({ length: 20 }, (_, index) => makeRecord({ at: at + index, deployment: index < 10 ? 'a' : 'b', path: `/${index}`, visitor: String(index) }))
    ids = records.map(({ id }) => id)
    journal = new Map(records.map(({ id, deployment, path }) => [id, { deployment, path, isLate: false, outcome: 'acked' as const }]))
    await insertRecords(store, records)
    await store.insert('ledger', ['log_id', 'partition', 'base', 'end', 'deployment', 'read', 'stored', 'failed', 'deduplicated', 'conflicting', 'received_to'], [['test', 0, 0, 20, 'a', 20, 20, 0, 0, 0, 0]], null)
    await foldDays(store, await dirtyDays(store, () => '2026-03-05'), { version: 1 })
  })
  const check = () => checkLedger(engine.store, journal)

  test('finds nothing where nothing is wrong', async () => {
    const report = await check()
    expect(report.examples).toEqual([])
    expect(isClean(report)).toBe(true)
    expect(report.acked).toBe(20)
  })

  test('sees a planted loss', async () => {
    await engine.store.command('ALTER TABLE events DELETE WHERE id = {id:UUID}', { id: ids[3]! })
    expect(await check()).toMatchObject({ lost: 1, ledgerDifference: 1 })
  })

  test('sees a planted duplicate', async () => {
    await engine.store.command('INSERT INTO events SELECT * FROM events WHERE id = {id:UUID}', { id: ids[5]! })
    expect(await check()).toMatchObject({ duplicated: 1, ledgerDifference: 1 })
  })

  test('sees a planted swap', async () => {
    journal.set(ids[1]!, { ...journal.get(ids[1]!)!, deployment: 'b' })
    journal.set(ids[2]!, { ...journal.get(ids[2]!)!, path: '/elsewhere' })
    expect(await check()).toMatchObject({ swapped: 2 })
  })

  test('sees a planted drift of a fold', async () => {
    await engine.store.command('ALTER TABLE fold_daily UPDATE page_views = page_views + 1 WHERE deployment = {deployment:String}', { deployment: 'a' })
    const report = await check()
    expect(report.foldDifferences).toBeGreaterThan(0)
    expect(report.dayDifferences).toBe(1)
  })

  test('sees what was refused, and what nobody sent', async () => {
    journal.set(ids[7]!, { ...journal.get(ids[7]!)!, outcome: 'rejected' })
    journal.delete(ids[8]!)
    expect(await check()).toMatchObject({ rejectedFound: 1, foreign: 1 })
  })
})
