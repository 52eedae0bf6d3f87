import type { Config } from '@footfall/config/config'
import { topics } from '@footfall/contracts/event'
import { startConsumer } from '@footfall/consumer/consume'
import { startRefusalConsumer } from '@footfall/consumer/consume-refusals'
import { healthRoutes } from '@footfall/http/health'
import { refuseUnknown } from '@footfall/http/http-options'
import { runService, type Service } from './frame.ts'
import { awaitSchema, connectStore, openLog, storeAnswers } from './servers.ts'

/** Takes events from the log into the store; several share the partitions out. */
export async function startConsumerService(config: Config): Promise<Service> {
  return runService(config, async (frame, app) => {
    const { logger, metrics } = frame
    refuseUnknown(app)
    healthRoutes(app, { metrics, notReady: frame.notReady })
    const store = connectStore(config)
    frame.onClose(() => store.close())
    return async () => {
      frame.watch('store', storeAnswers(store), { isNeeded: true })
      const log = await openLog(frame)
      let positions: () => ReadonlyMap<number, number> = () => new Map()
      const measureLag = async (): Promise<void> => {
        const states = await log.partitions(topics.events)
        const behind = states.map(({ partition, end }) => Math.max(0, end - (positions().get(partition) ?? end)))
        metrics.lag.set(behind.reduce((sum, records) => sum + records, 0))
      }
      frame.watch('log', measureLag, { isNeeded: true })
      await awaitSchema(frame, store)
      const consumer = await frame.persist('the log', () =>
        startConsumer({
          log,
          store,
          logger,
          metrics,
          limits: {
            maxRecords: config.BATCH_MAX_RECORDS,
            maxBytes: config.BATCH_MAX_BYTES,
            flushIntervalMs: config.flushIntervalMs,
          },
        }),
      )
      frame.onClose(() => consumer.close())
      positions = () => consumer.positions()
      consumer.done.catch((error: Error) => frame.fail(error))
      const refusals = await frame.persist('the log', () => startRefusalConsumer({ log, store, logger }))
      frame.onClose(() => refusals.close())
      refusals.failed.catch((error: Error) => frame.fail(error))
      frame.everySecond('behind', async () => metrics.behindSeconds.set(consumer.behindMs() / 1000))
    }
  })
}
