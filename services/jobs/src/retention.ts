import type { Store } from '@footfall/store/open'
import { readQuery } from '@footfall/store/queries'
import { deduplicationWindowMs, idSpareMs } from '@footfall/contracts/event'
import { removeRows } from './removal.ts'

/** The moment `months` before an instant. */
export function monthsBefore(at: number, months: number): number {
  const date = new Date(at)
  const day = date.getUTCDate()
  date.setUTCDate(1)
  date.setUTCMonth(date.getUTCMonth() - months)
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()
  date.setUTCDate(Math.min(day, lastDay))
  return date.getTime()
}

/**
 * Takes out single events past their time; the sums of their days stay and are closed: folded before (by the caller, who
 * lets nothing else run meanwhile), never again after. A removal is named after the day before which events go, so a run
 * that was cut off is finished by any later one, with the numbers that it counted.
 */
export async function expireEvents(
  store: Store,
  options: { months: number; now: number },
): Promise<{ events: number; failed: number }> {
  const day = new Date(monthsBefore(options.now, options.months)).toISOString().slice(0, 10)
  const before = Date.parse(`${day}T00:00:00Z`)
  await store.command(readQuery('close-days'), { before })
  return removeRows(store, `expired:${day}`, { kind: 'expired', before }, options.now)
}

/**
 * Drops ids that no retry can meet any more: days before the deduplication window, counted back from what was consumed
 * of this log and not from the wall clock, with a day to spare. Imports stay. What waited in a spool for longer is told
 * first that they are gone.
 * @param logId a former log is consumed no further: it would keep every id for ever.
 */
export async function forgetIds(store: Store, logId: string): Promise<{ dropped: string[] }> {
  const [consumed] = await store.query<{ until: string | null }>(
    'SELECT toUnixTimestamp64Milli(min(until)) AS until FROM (SELECT partition, max(received_to) AS until FROM ledger WHERE log_id = {logId:String} GROUP BY partition)',
    { logId },
  )
  const until = Number(consumed?.until ?? 0)
  if (until <= 0) return { dropped: [] }
  const oldest = new Date(until - deduplicationWindowMs - idSpareMs).toISOString().slice(0, 10)
  const partitions = await store.query<{ partition: string }>(
    `SELECT DISTINCT partition FROM system.parts WHERE database = currentDatabase() AND table = 'event_ids' AND active
     AND partition != '1970-01-01' AND partition < {oldest:String}`,
    { oldest },
  )
  // A partition cannot be a parameter; only the engine's own days get into the text.
  const dropped = partitions
    .map(({ partition }) => partition)
    .filter((partition) => /^\d{4}-\d{2}-\d{2}$/.test(partition))
  await store.insert('forgotten_ids', ['before'], [[oldest]], null)
  for (const partition of dropped) await store.command(`ALTER TABLE event_ids DROP PARTITION '${partition}'`)
  return { dropped }
}
