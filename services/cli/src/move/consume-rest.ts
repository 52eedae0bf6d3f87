import type { Config } from '@footfall/config/config'
import { startRefusalConsumer } from '@footfall/consumer/consume-refusals'
import { startConsumer } from '@footfall/consumer/consume'
import { topics } from '@footfall/contracts/event'
import type { EventLog } from '@footfall/event-log'
import { waitUnless } from '@footfall/event-log/within'
import type { Store } from '@footfall/store/open'
import type { Logger } from '@footfall/telemetry/logger'
import { createMetrics } from '@footfall/telemetry/metrics'

const lookEveryMs = 50
const flushIntervalMs = 10

/** Takes what a log still holds into its store, as its consumer would, and ends. */
export async function consumeRest(
  config: Pick<Config, 'BATCH_MAX_RECORDS' | 'BATCH_MAX_BYTES'>,
  { log, store, logger }: { log: EventLog; store: Store; logger: Logger },
): Promise<void> {
  /** Resolves at the end of a topic, as it is now, or when the signal aborts. */
  const reached = async (
    topic: string,
    positions: () => ReadonlyMap<number, number>,
    signal: AbortSignal,
  ): Promise<void> => {
    const ends = await log.partitions(topic)
    const isBehind = (): boolean => ends.some(({ partition, end }) => (positions().get(partition) ?? 0) < end)
    while (!signal.aborted && isBehind()) await waitUnless(lookEveryMs, signal)
  }
  const over = new AbortController()
  const limits = { maxRecords: config.BATCH_MAX_RECORDS, maxBytes: config.BATCH_MAX_BYTES, flushIntervalMs }
  try {
    const consumer = await startConsumer({ log, store, logger, metrics: createMetrics(), limits })
    try {
      await Promise.race([consumer.done, reached(topics.events, () => consumer.positions(), over.signal)])
    } finally {
      await consumer.close()
    }
    const refusals = await startRefusalConsumer({ log, store, logger })
    try {
      await Promise.race([refusals.failed, reached(topics.refusals, () => refusals.positions(), over.signal)])
    } finally {
      await refusals.close()
    }
  } finally {
    over.abort()
  }
}
