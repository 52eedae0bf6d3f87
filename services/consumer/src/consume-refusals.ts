import { createHash } from 'node:crypto'
import { isPipelineError } from '@footfall/contracts/errors'
import { topics, type RefusalRecord } from '@footfall/contracts/event'
import type { EventLog, LogConsumer } from '@footfall/event-log'
import type { Store } from '@footfall/store/open'
import type { Logger } from '@footfall/telemetry/logger'
import * as z from 'zod'

const refusalSchema = z.object({
  deployment: z.string(),
  reason: z.string(),
  at: z.number().int(),
  count: z.number().int().min(1),
})
const maxRecords = 5_000

/** Sums refusal samples per deployment, reason and minute: the rows of `refusals`. */
function toRows(values: readonly Buffer[]): unknown[][] {
  const sums = new Map<string, { deployment: string; minute: number; reason: string; refused: number }>()
  for (const value of values) {
    let record: Pick<RefusalRecord, 'deployment' | 'reason' | 'at' | 'count'>
    try {
      record = refusalSchema.parse(JSON.parse(value.toString('utf8')))
    } catch {
      // A sample that cannot be read counts for nothing: refusals are no part of the ledger.
      continue
    }
    const minute = Math.floor(record.at / 60_000) * 60
    const key = `${record.deployment} ${record.reason} ${minute}`
    const sum = sums.get(key)
    if (sum) sum.refused += record.count
    else sums.set(key, { deployment: record.deployment, minute, reason: record.reason, refused: record.count })
  }
  return [...sums.values()].map(({ deployment, minute, reason, refused }) => [deployment, minute, reason, refused])
}

/** Takes refusal samples from their topic into `refusals`, a minute a row; goes on until closed. */
export async function startRefusalConsumer(options: {
  log: EventLog
  store: Store
  logger: Logger
}): Promise<{ close(): Promise<void> }> {
  const { log, store, logger } = options
  const runs = new Map<number, { stop: AbortController; done: Promise<void> }>()
  let join: (consumer: LogConsumer) => void = () => undefined
  const joined = new Promise<LogConsumer>((resolve) => (join = resolve))

  const run = async (partition: number, signal: AbortSignal): Promise<void> => {
    const consumer = await joined
    const position = await consumer.position(partition)
    let { next } = position
    // An open claim is inserted again whole: its token makes that safe, and its bounds are those of the first try.
    let end = position.claimed
    while (!signal.aborted) {
      try {
        const limit = end === undefined ? maxRecords : Math.max(1, end - next)
        const batch = await consumer.read(partition, next, { maxRecords: limit, maxBytes: 4_000_000, waitMs: 1_000 })
        if (batch.next === next) continue
        await consumer.claim(partition, batch.next)
        const values = batch.records.map(({ value }) => value)
        const digest = createHash('sha256')
        for (const value of values) digest.update(value)
        await store.insert(
          'refusals',
          ['deployment', 'minute', 'reason', 'refused'],
          toRows(values),
          `refusals:${log.logId}:${partition}:${next}-${batch.next}:${digest.digest('hex')}`,
        )
        await consumer.advance(partition, batch.next)
        next = batch.next
        end = undefined
      } catch (error) {
        if (signal.aborted) return
        if (!isPipelineError(error) || !error.retryable) throw error
        logger.warn({ code: error.code }, 'refusal counts wait for the store')
        await new Promise((resolve) => setTimeout(resolve, 2_000))
      }
    }
  }

  const consumer = await log.consume(topics.refusals, 'store', {
    onAssigned(partition) {
      const stop = new AbortController()
      const done = run(partition, stop.signal).catch((error: unknown) =>
        logger.error({ err: error }, 'refusals are no longer counted'),
      )
      runs.set(partition, { stop, done })
    },
    async onRevoked(partition) {
      const former = runs.get(partition)
      runs.delete(partition)
      former?.stop.abort()
      await former?.done
    },
  })
  join(consumer)
  return {
    async close() {
      for (const { stop } of runs.values()) stop.abort()
      await Promise.all([...runs.values()].map(({ done }) => done))
      await consumer.close()
    },
  }
}
