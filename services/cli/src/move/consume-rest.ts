import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '@footfall/config/config'
import { startRefusalConsumer } from '@footfall/consumer/consume-refusals'
import { startConsumer } from '@footfall/consumer/consume'
import { topics } from '@footfall/contracts/event'
import type { EventLog } from '@footfall/event-log'
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
  const reached = async (topic: string, positions: () => ReadonlyMap<number, number>): Promise<void> => {
    const ends = await log.partitions(topic)
    while (ends.some(({ partition, end }) => (positions().get(partition) ?? 0) < end)) await sleep(lookEveryMs)
  }
  const limits = { maxRecords: config.BATCH_MAX_RECORDS, maxBytes: config.BATCH_MAX_BYTES, flushIntervalMs }
  const consumer = await startConsumer({ log, store, logger, metrics: createMetrics(), limits })
  try {
    await Promise.race([consumer.done, reached(topics.events, () => consumer.positions())])
  } finally {
    await consumer.close()
  }
  const refusals = await startRefusalConsumer({ log, store, logger })
  try {
    await Promise.race([refusals.failed, reached(topics.refusals, () => refusals.positions())])
  } finally {
    await refusals.close()
  }
}
