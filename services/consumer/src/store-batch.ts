import { deduplicationWindowMs, idSpareMs, type EventRecord } from '@footfall/contracts/event'
import { together } from '@footfall/event-log/together'
import type { Store } from '@footfall/store/open'
import { readQuery } from '@footfall/store/queries'
import { eventColumns, failedColumns, idColumns, ledgerColumns } from '@footfall/store/rows'
import { createLull } from './lull.ts'
import { idKey, type BatchPlan, type EarlierCopy, type ReadRecord } from './plan-batch.ts'

/** A range of one partition that is claimed and goes into the store as one. */
export interface Range {
  readonly logId: string
  readonly partition: number
  readonly base: number
  readonly end: number
}

/** An id that is taken, and the record that took it. */
interface TakenId {
  readonly hex: string
  readonly deployment: string
  readonly received_at: string
  readonly kept_for_ever: boolean
  readonly content: number
  readonly log_id: string
  readonly partition: number
  readonly offset: string
}

/** What batches of several partitions say to the store in one statement: whatever its size, a statement costs the same. */
export interface SharedStatements {
  /** Runs the insert of a small batch's events: what follows those of others waits for it a little, and goes with it. */
  whileInserting<Result>(insert: () => Promise<Result>): Promise<Result>
  /** Which of these ids are taken, and may be others too. */
  findIds(ids: readonly string[]): Promise<readonly TakenId[]>
  insertIds(rows: BatchPlan['ids']): Promise<void>
  insertMarks(rows: readonly unknown[][]): Promise<void>
  insertLedger(rows: BatchPlan['ledger']): Promise<void>
}

/**
 * Only what is harmless when it is repeated is shared. Events go in alone: the token of an insert names exactly its range,
 * so that whoever resolves one claim needs to know nothing of the others.
 * @param limits.gatherMs how long what follows the events of a batch waits for others at most.
 * @param limits.most ids or rows of a statement, unless one batch alone has more.
 */
export function shareStatements(
  store: Store,
  { most, gatherMs }: { readonly most: number; readonly gatherMs: number },
): SharedStatements {
  const inserts = createLull()
  const gather = async (): Promise<void> => {
    await inserts.over(gatherMs)
    // Whoever ended last still has to say what follows.
    await new Promise((resolve) => setImmediate(resolve))
  }
  // Several of each at once: a connection that hangs holds up the batches of one statement, not all that come later.
  const limits = { most, weigh: (rows: readonly unknown[]) => rows.length, atOnce: 3 }
  const insertInto = (table: string, columns: readonly string[]): ((rows: readonly unknown[][]) => Promise<void>) => {
    const insert = together(
      async (batches: readonly (readonly unknown[][])[]) => {
        await store.insert(table, columns, batches.flat(), null)
        return []
      },
      { ...limits, gather },
    )
    return async (rows) => (rows.length === 0 ? undefined : insert(rows))
  }
  return {
    whileInserting: inserts.during,
    findIds: together(async (batches: readonly (readonly string[])[]) => {
      const rows = await store.query<TakenId>(readQuery('find-ids'), { ids: [...new Set(batches.flat())].join('') })
      return batches.map(() => rows)
    }, limits),
    insertIds: insertInto('event_ids', idColumns),
    insertMarks: insertInto('day_marks', ['deployment', 'local_day', 'marks']),
    insertLedger: insertInto('ledger', ledgerColumns),
  }
}

/**
 * Copies of beacons that come so long after their receipt (out of a spool) that ids of their window may be forgotten:
 * looked for among the events. Asked after the ids: what is forgotten in between is noted first.
 */
async function findForgottenCopies(
  store: Store,
  delayed: readonly EventRecord[],
  range: Range,
): Promise<{ key: string; receivedAt: number }[]> {
  const [noted] = await store.query<{ before: string }>('SELECT max(before) AS before FROM forgotten_ids')
  const before = Date.parse(`${noted!.before}T00:00:00Z`)
  const records = delayed.filter((event) => event.received_at - deduplicationWindowMs < before)
  if (records.length === 0) return []
  const times = records.map((event) => event.received_at)
  const rows = await store.query<{ uuid: string; deployment: string; received_ms: string }>(
    readQuery('find-forgotten'),
    {
      ids: [...new Set(records.map(({ id }) => id))].join(''),
      deployments: [...new Set(records.map(({ deployment }) => deployment))],
      from: times.reduce((least, time) => Math.min(least, time)) - deduplicationWindowMs,
      to: Math.min(before, times.reduce((most, time) => Math.max(most, time)) + deduplicationWindowMs + 1),
      log_id: range.logId,
      partition: range.partition,
      base: range.base,
      end: range.end,
    },
  )
  return rows.map((row) => ({
    key: idKey(row.deployment, row.uuid.replaceAll('-', '')),
    receivedAt: Number(row.received_ms),
  }))
}

/**
 * Earlier copies of the batch's ids, by `idKey`; those that a first try of the same batch wrote do not count. One look-up,
 * unless something in it is older than a day.
 * @param now only saves a look-up: whatever it is later, one that was made is made again.
 */
export async function findEarlierCopies(
  { store, shared }: { store: Store; shared: SharedStatements },
  records: readonly ReadRecord[],
  range: Range,
  now: number,
): Promise<Map<string, EarlierCopy[]>> {
  const ids = new Set(records.flatMap(({ event }) => (event ? [event.id.replaceAll('-', '')] : [])))
  const found = new Map<string, EarlierCopy[]>()
  if (ids.size === 0) return found
  const isOfRange = ({ log_id: logId, partition, offset }: TakenId): boolean =>
    logId === range.logId && partition === range.partition && Number(offset) >= range.base && Number(offset) < range.end
  for (const row of await shared.findIds([...ids])) {
    if (!ids.has(row.hex) || isOfRange(row)) continue
    const key = idKey(row.deployment, row.hex)
    const copies = found.get(key) ?? []
    copies.push({ receivedAt: Number(row.received_at), keptForEver: row.kept_for_ever, content: row.content })
    found.set(key, copies)
  }
  const delayed = records.flatMap(({ event }) =>
    event?.source === 'beacon' && event.received_at < now - idSpareMs ? [event] : [],
  )
  if (delayed.length === 0) return found
  for (const { key, receivedAt } of await findForgottenCopies(store, delayed, range)) {
    const copies = found.get(key) ?? []
    // Its id may be there after all: of a day that is only noted yet, or that came back out of a spool.
    if (copies.some((copy) => copy.receivedAt === receivedAt)) continue
    copies.push({ receivedAt, keptForEver: false, content: null })
    found.set(key, copies)
  }
  return found
}

/** Offsets of the range that are in `events` or `failed_events`. */
export async function findStoredOffsets(store: Store, range: Range): Promise<Set<number>> {
  const rows = await store.query<{ offset: string }>(readQuery('find-offsets'), {
    log_id: range.logId,
    partition: range.partition,
    base: range.base,
    end: range.end,
  })
  return new Set(rows.map((row) => Number(row.offset)))
}

const missing = (rows: BatchPlan['events'], stored: ReadonlySet<number> | null): unknown[][] =>
  (stored ? rows.filter(({ offset }) => !stored.has(offset)) : rows).map(({ row }) => row)

/**
 * Inserts the rows of a claimed range. At a first try nothing of it is in the store (`stored` null); after a failure or
 * a crash only what is missing goes in, under the same token, so that a late copy of the first try changes nothing.
 * @param token names exactly the raw records of the range.
 */
export async function insertRows(
  store: Store,
  plan: BatchPlan,
  token: string,
  stored: ReadonlySet<number> | null,
): Promise<void> {
  await store.insert('events', eventColumns, missing(plan.events, stored), token)
  await store.insert('failed_events', failedColumns, missing(plan.failed, stored), token)
}

/**
 * Writes what must follow the rows: their ids, the days they touched, and last the ledger, which ends the batch. Without
 * tokens: repeats of these are harmless, a token that outlived its rows is not.
 */
export async function recordBatch(shared: SharedStatements, plan: BatchPlan): Promise<void> {
  await Promise.all([
    shared.insertIds(plan.ids),
    shared.insertMarks(plan.days.map(([deployment, day]) => [deployment, day, 1])),
  ])
  await shared.insertLedger(plan.ledger)
}
