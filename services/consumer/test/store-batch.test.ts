import { topics, type EventRecord } from '@footfall/contracts/event'
import { idColumns, toIdRow } from '@footfall/store/rows'
import type { Store } from '@footfall/store/open'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { makeRecord, startTestEngine, type TestEngine } from '../../../shared/store/test/engine.ts'
import { planBatch, type ReadRecord } from '../src/plan-batch.ts'
import { findEarlierCopies, recordBatch, shareStatements } from '../src/store-batch.ts'

const at = Date.now()
const logId = topics.events
const rangeOf = (partition: number) => ({ logId, partition, base: 0, end: 10 })
const read = (records: readonly EventRecord[]): ReadRecord[] =>
  records.map((event, offset) => ({ offset, value: Buffer.from(JSON.stringify(event)), event }))

let engine: TestEngine
beforeAll(async () => {
  engine = await startTestEngine()
})
afterAll(() => engine.close())
beforeEach(async () => {
  for (const table of ['event_ids', 'ledger', 'day_marks']) await engine.store.command(`TRUNCATE TABLE ${table}`)
})

/** The real store, and what was said to it. */
function watched(): { store: Store; said: string[] } {
  const { store } = engine
  const said: string[] = []
  const watching: Store = {
    ...store,
    query(sql, parameters) {
      said.push('query')
      return store.query(sql, parameters)
    },
    insert(table, columns, rows, token) {
      said.push(table)
      return store.insert(table, columns, rows, token)
    },
  }
  return { store: watching, said }
}

test('batches of several partitions are looked up in one query, and each hears of its own ids alone', async () => {
  const batches = [0, 1, 2].map(() => [makeRecord({ at }), makeRecord({ at })])
  const [[tried], [taken], [free, elsewhere]] = batches as [EventRecord[], EventRecord[], EventRecord[]]
  await engine.store.insert(
    'event_ids',
    idColumns,
    [
      // Of a first try of the same batch, of an earlier batch of its partition, and at the same offset of another.
      toIdRow(tried!, { logId, partition: 0, offset: 4 }),
      toIdRow(taken!, { logId, partition: 1, offset: 10 }),
      toIdRow(elsewhere!, { logId, partition: 1, offset: 1 }),
    ],
    null,
  )
  const { store, said } = watched()
  const shared = shareStatements(store, { most: 1_000, gatherMs: 0 })
  const found = await Promise.all(
    batches.map((records, partition) => findEarlierCopies({ store, shared }, read(records), rangeOf(partition), at)),
  )
  const keys = found.map((copies) => [...copies.keys()])
  const keyOf = ({ id, deployment }: EventRecord): string => id.replaceAll('-', '') + deployment
  expect(keys).toEqual([[], [keyOf(taken!)], [keyOf(elsewhere!)]])
  expect(keys.flat()).not.toContain(keyOf(free!))
  expect(said).toEqual(['query'])
})

test('what several batches record goes in together, the ledger last', async () => {
  const { store, said } = watched()
  const shared = shareStatements(store, { most: 1_000, gatherMs: 0 })
  await Promise.all(
    [0, 1, 2].map((partition) =>
      recordBatch(shared, planBatch(read([makeRecord({ at }), makeRecord({ at })]), new Map(), rangeOf(partition))),
    ),
  )
  expect(said).toEqual(['event_ids', 'day_marks', 'ledger'])
  const [ledger] = await store.query<{ read: string; ids: string }>(
    'SELECT sum(read) AS read, (SELECT count() FROM event_ids) AS ids FROM ledger',
  )
  expect(ledger).toEqual({ read: '6', ids: '6' })
})

test('no statement has more ids than a batch may have', async () => {
  const { store, said } = watched()
  const shared = shareStatements(store, { most: 5, gatherMs: 0 })
  await Promise.all(
    [0, 1, 2].map((partition) =>
      findEarlierCopies({ store, shared }, read([makeRecord({ at }), makeRecord({ at })]), rangeOf(partition), at),
    ),
  )
  expect(said).toEqual(['query', 'query'])
})

test('what a batch records waits for the events of others, and goes with what they record', async () => {
  const { store, said } = watched()
  const shared = shareStatements(store, { most: 1_000, gatherMs: 100_000 })
  let end: () => void = () => undefined
  const inserted = new Promise<void>((resolve) => (end = resolve))
  const record = (partition: number): Promise<void> =>
    recordBatch(shared, planBatch(read([makeRecord({ at })]), new Map(), rangeOf(partition)))
  const slow = shared.whileInserting(() => inserted).then(() => record(0))
  const quick = [1, 2].map((partition) => shared.whileInserting(async () => undefined).then(() => record(partition)))
  await new Promise((resolve) => setImmediate(resolve))
  expect(said).toEqual([])
  end()
  await Promise.all([slow, ...quick])
  expect(said).toEqual(['event_ids', 'day_marks', 'ledger'])
})
