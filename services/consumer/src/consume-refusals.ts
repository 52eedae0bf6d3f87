import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
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
const mostRecords = 5_000
const retryMs = 2_000

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
  /** Resolves after a time. */
  wait?: (ms: number) => Promise<unknown>
}): Promise<{
  /** Rejects with what stopped it. */
  readonly failed: Promise<never>
  /** First offset that is not counted, per partition. */
  positions(): ReadonlyMap<number, number>
  close(): Promise<void>
}> {
  const { log, store, logger } = options
  const wait = options.wait ?? ((ms: number) => sleep(ms))
  const runs = new Map<number, { stop: AbortController; done: Promise<void> }>()
  const positions = new Map<number, number>()
  let isClosing = false
  let join: (consumer: LogConsumer) => void = () => undefined
  const joined = new Promise<LogConsumer>((resolve) => (join = resolve))
  let fail: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_resolve, reject) => (fail = reject))
  failed.catch(() => undefined)

  /** Repeats what log or store could not do for now. */
  const persist = async <Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> => {
    for (;;) {
      try {
        return await work()
      } catch (error) {
        if (!isPipelineError(error) || !error.retryable || signal.aborted) throw error
        logger.warn({ code: error.code }, 'refusal counts wait for the store')
        await wait(retryMs)
        if (signal.aborted) throw error
      }
    }
  }

  const run = async (partition: number, signal: AbortSignal): Promise<void> => {
    const consumer = await joined
    const position = await persist(signal, () => consumer.position(partition))
    let { next } = position
    positions.set(partition, next)
    // An open claim is inserted again whole: its token makes that safe, and its bounds are those of the first try.
    let claimed = position.claimed
    while (!signal.aborted) {
      const values: Buffer[] = []
      let end = next
      do {
        const maxRecords = claimed === undefined ? mostRecords : Math.max(1, claimed - end)
        const read = await persist(signal, () =>
          consumer.read(partition, end, { maxRecords, maxBytes: 4_000_000, waitMs: 1_000 }),
        )
        values.push(...read.records.map(({ value }) => value))
        end = read.next
      } while (claimed !== undefined && end < claimed && !signal.aborted)
      if (end === next || signal.aborted) continue
      const digest = createHash('sha256')
      for (const value of values) digest.update(value)
      const token = `refusals:${log.logId}:${partition}:${next}-${end}:${digest.digest('hex')}`
      // The same range however often it takes: another one would have another token.
      await persist(signal, async () => {
        await consumer.claim(partition, end)
        await store.insert('refusals', ['deployment', 'minute', 'reason', 'refused'], toRows(values), token)
        await consumer.advance(partition, end)
      })
      next = end
      positions.set(partition, next)
      claimed = undefined
    }
  }

  const consumer = await log.consume(topics.refusals, 'store', {
    onAssigned(partition) {
      if (isClosing) return
      const stop = new AbortController()
      const done = run(partition, stop.signal).catch((error: unknown) => {
        if (stop.signal.aborted && isPipelineError(error)) return
        logger.error({ err: error }, 'refusals are no longer counted')
        fail(error)
      })
      runs.set(partition, { stop, done })
    },
    async onRevoked(partition) {
      const former = runs.get(partition)
      runs.delete(partition)
      former?.stop.abort()
      await former?.done
      positions.delete(partition)
    },
  })
  join(consumer)
  return {
    failed,
    positions: () => positions,
    async close() {
      isClosing = true
      for (const { stop } of runs.values()) stop.abort()
      await Promise.all([...runs.values()].map(({ done }) => done))
      await consumer.close()
    },
  }
}
