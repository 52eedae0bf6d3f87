import { eventRecordSchema, type EventRecord } from '@footfall/contracts/event'
import { isRowRefusal, type Store } from '@footfall/store/open'
import { readQuery } from '@footfall/store/queries'
import { eventColumns, toDateTime, toEventRow } from '@footfall/store/rows'
import { touchedDays } from '@footfall/store/touched-days'
import * as z from 'zod'

export const replayPayloadSchema = z.strictObject({
  deployment: z.string().min(1).optional(),
  reason: z.enum(['late', 'refused_by_store', 'invalid_record']).optional(),
})

interface Place {
  readonly log_id: string
  readonly partition: number
  readonly offset: string
}
interface FailedEvent extends Place {
  readonly record: string
}

const batchSize = 1_000
const nameOf = ({ log_id, partition, offset }: Place): string => `${log_id} ${partition} ${offset}`
const toParameters = (places: readonly Place[]) => ({
  log_ids: places.map(({ log_id }) => log_id),
  partitions: places.map(({ partition }) => partition),
  offsets: places.map(({ offset }) => Number(offset)),
})

/** The places that are in `events`. */
const findStored = async (store: Store, places: readonly Place[]): Promise<Set<string>> =>
  new Set((await store.query<Place>(readQuery('find-positions'), toParameters(places))).map(nameOf))

function readRecord(text: string): EventRecord | null {
  try {
    return eventRecordSchema.parse(JSON.parse(text))
  } catch {
    return null
  }
}

/** Inserts every row that the store takes: those that it refuses are found by halves. */
async function insertTaken(store: Store, rows: readonly unknown[][]): Promise<void> {
  try {
    // No token: the places were looked up, and the engine may keep a token whose rows are gone.
    await store.insert('events', eventColumns, rows, null)
  } catch (error) {
    if (!isRowRefusal(error)) throw error
    if (rows.length === 1) return
    const middle = Math.floor(rows.length / 2)
    await insertTaken(store, rows.slice(0, middle))
    await insertTaken(store, rows.slice(middle))
  }
}

/**
 * Tries failed events again, each once a run: it keeps its id, its `received_at` and its place in the log, so it is one
 * event however often this runs. Rows that are in `events` already are only marked; those that cannot be read, or that
 * the store refuses, stay failed with the reason they have.
 */
export async function replayFailed(
  store: Store,
  payload: z.infer<typeof replayPayloadSchema>,
  options: { now: () => number; signal: AbortSignal },
): Promise<{ replayed: number; refused: number; unreadable: number }> {
  const counts = { replayed: 0, refused: 0, unreadable: 0 }
  let after: Place = { log_id: '', partition: 0, offset: '-1' }
  for (;;) {
    options.signal.throwIfAborted()
    const page = await store.query<FailedEvent>(readQuery('failed-page'), {
      deployment: payload.deployment ?? '',
      reason: payload.reason ?? '',
      ...after,
      limit: batchSize,
    })
    if (page.length === 0) return counts
    const { log_id, partition, offset } = page.at(-1)!
    after = { log_id, partition, offset }
    const readable = page.flatMap((place) => {
      const record = readRecord(place.record)
      return record ? [{ place, record }] : []
    })
    counts.unreadable += page.length - readable.length
    if (readable.length === 0) continue
    const places = readable.map(({ place }) => place)
    const before = await findStored(store, places)
    await insertTaken(
      store,
      readable
        .filter(({ place }) => !before.has(nameOf(place)))
        .map(({ place, record }) =>
          toEventRow(record, { logId: place.log_id, partition: place.partition, offset: Number(place.offset) }),
        ),
    )
    const stored = await findStored(store, places)
    const moved = readable.filter(({ place }) => stored.has(nameOf(place)))
    counts.replayed += moved.length
    counts.refused += readable.length - moved.length
    if (moved.length === 0) continue
    await store.insert(
      'day_marks',
      ['deployment', 'local_day', 'marks'],
      touchedDays(moved.map(({ record }) => record)).map(([deployment, day]) => [deployment, day, 1]),
      null,
    )
    await store.command(readQuery('mark-replayed'), {
      ...toParameters(moved.map(({ place }) => place)),
      now: toDateTime(options.now()),
    })
  }
}
