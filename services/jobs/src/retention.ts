import type { Job, JobContext } from '@footfall/job-queue'
import type { Store } from '@footfall/store/open'
import { readQuery } from '@footfall/store/queries'
import { toDateTime } from '@footfall/store/rows'
import { deduplicationWindowMs } from '@footfall/contracts/event'
import * as z from 'zod'

const checkpointSchema = z.object({ before: z.number(), counted: z.boolean() })
const dayMs = 86_400_000

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
 * Takes out single events past their time; daily sums stay. They are counted before they go, and the count is kept
 * under the job's id, so a run that is cut off and repeated writes the same numbers.
 */
export async function expireEvents(
  store: Store,
  job: Job,
  context: JobContext,
  options: { months: number; now: number },
): Promise<{ events: number }> {
  const known = checkpointSchema.safeParse(job.progress?.checkpoint)
  const before = known.success ? known.data.before : monthsBefore(options.now, options.months)
  await context.progress({ done: 0, total: 2, checkpoint: { before, counted: known.success && known.data.counted } })
  let events = 0
  if (!(known.success && known.data.counted)) {
    const rows = await store.query<{ deployment: string; events: string; failed: string }>(readQuery('count-expired'), {
      before,
    })
    events = rows.reduce((sum, row) => sum + Number(row.events), 0)
    await store.insert(
      'removals',
      ['job', 'kind', 'deployment', 'events', 'failed', 'at'],
      rows.map((row) => [job.id, 'expired', row.deployment, row.events, row.failed, toDateTime(options.now)]),
      null,
    )
    await context.progress({ done: 1, total: 2, checkpoint: { before, counted: true } })
  }
  for (const table of ['events', 'failed_events']) {
    await store.command(`ALTER TABLE ${table} DELETE WHERE received_at < fromUnixTimestamp64Milli({before:Int64})`, {
      before,
    })
  }
  await context.progress({ done: 2, total: 2, checkpoint: { before, counted: true } })
  return { events }
}

/**
 * Drops ids that no retry can meet any more: days before the deduplication window, counted back from what was consumed
 * and not from the wall clock, with a day to spare. Imports stay.
 */
export async function forgetIds(store: Store): Promise<{ dropped: string[] }> {
  const [consumed] = await store.query<{ until: string | null }>(
    'SELECT toUnixTimestamp64Milli(min(until)) AS until FROM (SELECT log_id, partition, max(received_to) AS until FROM ledger GROUP BY log_id, partition)',
  )
  const until = Number(consumed?.until ?? 0)
  if (until <= 0) return { dropped: [] }
  const oldest = new Date(until - deduplicationWindowMs - dayMs).toISOString().slice(0, 10)
  const partitions = await store.query<{ partition: string }>(
    `SELECT DISTINCT partition FROM system.parts WHERE database = currentDatabase() AND table = 'event_ids' AND active
     AND partition != '1970-01-01' AND partition < {oldest:String}`,
    { oldest },
  )
  // A partition cannot be a parameter; only the engine's own days get into the text.
  const dropped = partitions
    .map(({ partition }) => partition)
    .filter((partition) => /^\d{4}-\d{2}-\d{2}$/.test(partition))
  for (const partition of dropped) await store.command(`ALTER TABLE event_ids DROP PARTITION '${partition}'`)
  return { dropped }
}
