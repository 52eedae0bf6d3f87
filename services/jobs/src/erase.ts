import { topics } from '@footfall/contracts/event'
import type { EventLog, StoredRecord } from '@footfall/event-log'
import type { Job, JobContext } from '@footfall/job-queue'
import type { Store } from '@footfall/store/open'
import { readQuery } from '@footfall/store/queries'
import { toDateTime } from '@footfall/store/rows'
import * as z from 'zod'

const day = z.iso.date()
export const erasePayloadSchema = z.strictObject({
  deployment: z.string().min(1),
  /** Local days, both inclusive; without them everything of the deployment goes. */
  from: day.default('1970-01-01'),
  to: day.default('2149-06-06'),
})
const checkpointSchema = z.object({ end: z.number(), counted: z.boolean() })

/** What erasure needs of the log beyond the port: an engine that cannot rewrite lets its retention do it. */
export interface RewritableLog extends EventLog {
  rewrite?(topic: string, partition: number, keep: (record: StoredRecord) => boolean): Promise<unknown>
}

export interface EraseParts {
  readonly store: Store
  readonly log: RewritableLog
  /** Resolves once the log is consumed up to this offset in every partition. */
  readonly consumedTo: (end: number, signal: AbortSignal) => Promise<void>
  readonly refold: () => Promise<void>
  readonly now: () => number
}

const recordSchema = z.object({ deployment: z.string(), local_day: z.string() })

/**
 * Erases a deployment or a period of it from store, log and folds. Counted before anything goes, so that the ledger
 * still adds up; every step may be repeated.
 */
export async function erase(
  job: Job,
  context: JobContext,
  parts: EraseParts,
): Promise<{ events: number; failed: number }> {
  const { store, log } = parts
  const payload = erasePayloadSchema.parse(job.payload)
  const known = checkpointSchema.safeParse(job.progress?.checkpoint)
  const states = await log.partitions(topics.events)
  const end = known.success ? known.data.end : Math.max(0, ...states.map((state) => state.end))
  await context.progress({
    done: 0,
    total: 4,
    note: 'waiting for the consumer',
    checkpoint: { end, counted: known.success && known.data.counted },
  })
  await parts.consumedTo(end, context.signal)

  const bounds = { ...payload, log_id: log.logId, end }
  let counts = { events: 0, failed: 0 }
  if (!(known.success && known.data.counted)) {
    const [row] = await store.query<{ events: string; failed: string }>(readQuery('count-erased'), bounds)
    counts = { events: Number(row?.events ?? 0), failed: Number(row?.failed ?? 0) }
    await store.insert(
      'removals',
      ['job', 'kind', 'deployment', 'events', 'failed', 'at'],
      [[job.id, 'erased', payload.deployment, counts.events, counts.failed, toDateTime(parts.now())]],
      null,
    )
    await context.progress({ done: 1, total: 4, note: 'erasing from the store', checkpoint: { end, counted: true } })
  }
  await store.command(readQuery('erase-ids'), bounds)
  await store.command(readQuery('erase-events'), bounds)
  await store.command(readQuery('erase-failed-events'), bounds)
  await store.command(
    'ALTER TABLE refusals DELETE WHERE deployment = {deployment:String} AND toDate(minute) BETWEEN {from:Date} AND {to:Date}',
    { deployment: payload.deployment, from: payload.from, to: payload.to },
  )
  await context.progress({ done: 2, total: 4, note: 'erasing from the log', checkpoint: { end, counted: true } })
  if (log.rewrite) {
    const keep = ({ offset, value }: StoredRecord): boolean => {
      if (offset >= end) return true
      try {
        const record = recordSchema.parse(JSON.parse(value.toString('utf8')))
        return (
          record.deployment !== payload.deployment || record.local_day < payload.from || record.local_day > payload.to
        )
      } catch {
        // What cannot be read belongs to nobody we know.
        return true
      }
    }
    for (const { partition } of states) await log.rewrite(topics.events, partition, keep)
  }
  await context.progress({ done: 3, total: 4, note: 'folding again', checkpoint: { end, counted: true } })
  await store.command(readQuery('mark-days'), { deployment: payload.deployment, from: payload.from, to: payload.to })
  await parts.refold()
  await context.progress({ done: 4, total: 4, checkpoint: { end, counted: true } })
  return counts
}
