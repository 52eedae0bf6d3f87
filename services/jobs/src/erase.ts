import { topics } from '@footfall/contracts/event'
import { endsOf, type EventLog, type StoredRecord } from '@footfall/event-log'
import type { Job, JobContext } from '@footfall/job-queue'
import type { Store } from '@footfall/store/open'
import * as z from 'zod'
import { removeRows, type RemovalBounds, type RemovalCounts } from './removal.ts'

const day = z.iso.date()
export const erasePayloadSchema = z.strictObject({
  deployment: z.string().min(1),
  /** Local days, both inclusive; without them everything of the deployment goes. */
  from: day.default('1970-01-01'),
  to: day.default('2149-06-06'),
})
const checkpointSchema = z.object({ ends: z.array(z.number()) })

/** What erasure needs of the log beyond the port. */
export interface RewritableLog extends EventLog {
  rewrite?(topic: string, partition: number, keep: (record: StoredRecord) => boolean): Promise<unknown>
  /** Where records cannot be taken out singly: drops all before these offsets, which have been consumed. */
  forget?(topic: string, ends: readonly number[]): Promise<unknown>
}

export interface EraseParts {
  readonly store: Store
  readonly log: RewritableLog
  /** Resolves once every partition is consumed up to its offset. */
  readonly consumedTo: (ends: readonly number[], signal: AbortSignal) => Promise<void>
  readonly timeZoneOf: (deployment: string) => string
  readonly refold: () => Promise<void>
  readonly now: () => number
}

const recordSchema = z.object({ deployment: z.string(), local_day: z.string() })

/**
 * Erases a deployment or a period of it from store, log and folds. Counted before anything goes, so that the ledger
 * still adds up; every step may be repeated. Runs alone: nothing else may change the store's tables but the consumer.
 */
export async function erase(job: Job, context: JobContext, parts: EraseParts): Promise<RemovalCounts> {
  const { store, log } = parts
  const payload = erasePayloadSchema.parse(job.payload)
  const known = checkpointSchema.safeParse(job.progress?.checkpoint)
  const states = await log.partitions(topics.events)
  const ends = known.success ? known.data.ends : endsOf(states)
  const progress = (done: number, note: string): Promise<void> =>
    context.progress({ done, total: 4, note, checkpoint: { ends } })

  await progress(0, 'waiting for the consumer')
  await parts.consumedTo(ends, context.signal)
  await progress(1, 'erasing from the store')
  const bounds: RemovalBounds = {
    ...payload,
    kind: 'erased',
    time_zone: parts.timeZoneOf(payload.deployment),
    log_id: log.logId,
    ends,
  }
  const counts = await removeRows(store, `erased:${job.id}`, bounds, parts.now())
  await progress(2, 'erasing from the log')
  if (log.rewrite) {
    const keep = (end: number, { offset, value }: StoredRecord): boolean => {
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
    for (const [partition, end] of ends.entries())
      await log.rewrite(topics.events, partition, (record) => keep(end, record))
  } else await log.forget?.(topics.events, ends)
  await progress(3, 'folding again')
  await parts.refold()
  await context.progress({ done: 4, total: 4, checkpoint: { ends } })
  return counts
}
