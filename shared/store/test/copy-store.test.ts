import { afterAll, beforeAll, expect, test } from 'vitest'
import { copyTables, emptyTables, sumTables } from '../src/copy-store.ts'
import { foldDays } from '../src/fold.ts'
import { ledgerColumns, toDateTime } from '../src/rows.ts'
import { insertRecords, makeRecord, startTestEngine, type TestEngine } from './engine.ts'

let source: TestEngine
let target: TestEngine
beforeAll(async () => {
  ;[source, target] = await Promise.all([startTestEngine(), startTestEngine()])
})
afterAll(() => Promise.all([source.close(), target.close()]))

const march = Date.parse('2026-03-10T12:00:00Z')
const april = Date.parse('2026-04-10T12:00:00Z')

test('every table arrives whole, whatever its engine has merged by then', async () => {
  const records = [march, april].flatMap((at) =>
    Array.from({ length: 3_000 }, (_, nth) =>
      makeRecord({
        at: at + nth,
        visitor: String(nth % 7),
        props: { 'ü"\n': `${nth}` },
        value: nth % 2 ? null : nth / 3,
      }),
    ),
  )
  await insertRecords(source.store, records)
  await insertRecords(source.store, [makeRecord({ at: march })])
  await foldDays(source.store, [{ deployment: 'a', local_day: '2026-03-10' }] as never, { version: 1 })
  const batch = ['l', 0, 0, 10, 'a', 10, 9, 1, 0, 0, toDateTime(march)]
  for (let copies = 0; copies < 2; copies++) await source.store.insert('ledger', ledgerColumns, [batch], null)
  for (const refused of [2, 3])
    await source.store.insert(
      'refusals',
      ['deployment', 'minute', 'reason', 'refused'],
      [['a', Math.floor(Date.now() / 60_000) * 60 - 86_400, 'bot', refused]],
      null,
    )
  await source.store.insert(
    'event_ids',
    ['hex', 'deployment', 'local_day', 'received_at', 'kept_for_ever', 'log_id', 'partition', 'offset', 'content'],
    [
      ['00'.repeat(16), 'a', '2026-03-10', toDateTime(march), false, 'l', 0, 0, 7],
      ['ff'.repeat(16), 'a', '2026-03-10', toDateTime(march), true, 'l', 0, 1, 8],
    ],
    null,
  )

  const seen: string[] = []
  await copyTables(source.store, target.store, (name) => seen.push(name))
  const sums = await sumTables(source.store)
  expect(await sumTables(target.store)).toEqual(sums)
  expect(sums.get('events')?.rows).toBe(6_001)
  expect([sums.get('ledger')?.rows, sums.get('refusals')?.rows, sums.get('event_ids')?.rows]).toEqual([1, 1, 2])
  expect(seen).toEqual([...sums.keys()])
  expect(seen).not.toContain('migrations')
})

test('a copy that was cut off begins anew with empty tables', async () => {
  await emptyTables(target.store)
  expect([...(await sumTables(target.store)).values()].every(({ rows }) => rows === 0)).toBe(true)
  await copyTables(source.store, target.store, () => undefined)
  expect(await sumTables(target.store)).toEqual(await sumTables(source.store))
})

test('one changed value is seen', async () => {
  const before = await sumTables(target.store)
  await target.store.command(`ALTER TABLE events UPDATE value = 0.1 WHERE value = 0`)
  const after = await sumTables(target.store)
  expect(after.get('events')?.rows).toBe(before.get('events')?.rows)
  expect(after.get('events')?.checksum).not.toBe(before.get('events')?.checksum)
})
