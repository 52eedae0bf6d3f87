import { eventRecordSchema } from '@footfall/contracts/event'
import type { Store } from '@footfall/store/open'
import { eventColumns, toDateTime, toEventRow } from '@footfall/store/rows'
import * as z from 'zod'

export const replayPayloadSchema = z.strictObject({
  deployment: z.string().min(1).optional(),
  reason: z.enum(['late', 'refused_by_store', 'invalid_record']).optional(),
})

const batchSize = 1_000

/**
 * Tries failed events again: each keeps its id, its `received_at` and its place in the log, so it is one event however
 * often this runs. Rows that are in `events` already are only marked.
 */
export async function replayFailed(
  store: Store,
  payload: z.infer<typeof replayPayloadSchema>,
  now: () => number,
): Promise<{ replayed: number; unreadable: number }> {
  let replayed = 0
  const unreadable = new Set<string>()
  for (;;) {
    const rows = (
      await store.query<{ log_id: string; partition: number; offset: string; record: string; stored: number }>(
        `SELECT log_id, partition, offset, record,
           (log_id, partition, offset) IN (SELECT log_id, partition, offset FROM events) AS stored
         FROM failed_events
         WHERE replayed_at IS NULL AND ({deployment:String} = '' OR deployment = {deployment:String}) AND ({reason:String} = '' OR reason = {reason:String})
         ORDER BY log_id, partition, offset LIMIT {limit:UInt32}`,
        { deployment: payload.deployment ?? '', reason: payload.reason ?? '', limit: batchSize + unreadable.size },
      )
    ).filter((row) => !unreadable.has(`${row.log_id} ${row.partition} ${row.offset}`))
    if (rows.length === 0) return { replayed, unreadable: unreadable.size }
    const done: typeof rows = []
    const insert: unknown[][] = []
    const days = new Map<string, [string, string, number]>()
    for (const row of rows) {
      const position = { logId: row.log_id, partition: row.partition, offset: Number(row.offset) }
      let record
      try {
        record = eventRecordSchema.parse(JSON.parse(row.record))
      } catch {
        unreadable.add(`${row.log_id} ${row.partition} ${row.offset}`)
        continue
      }
      done.push(row)
      days.set(`${record.deployment} ${record.local_day}`, [record.deployment, record.local_day, 1])
      if (!row.stored) insert.push(toEventRow(record, position))
    }
    if (done.length === 0) return { replayed, unreadable: unreadable.size }
    const name = `replay:${done[0]!.log_id}:${done[0]!.partition}:${done.map((row) => row.offset).join(',')}`
    await store.insert('events', eventColumns, insert, name.slice(0, 60_000))
    await store.insert('day_marks', ['deployment', 'local_day', 'marks'], [...days.values()], null)
    await store.command(
      `ALTER TABLE failed_events UPDATE replayed_at = {now:DateTime64(3, 'UTC')}
       WHERE (log_id, partition, offset) IN (SELECT log_id, partition, offset FROM events)`,
      { now: toDateTime(now()) },
    )
    replayed += done.length
  }
}
