import { join } from 'node:path'
import type { Config } from '@footfall/config/config'
import { findRoot } from '@footfall/config/root'
import { PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { openSpoolingEventLog } from '@footfall/event-log/spooling'
import { within } from '@footfall/event-log/within'
import { createIngest } from '@footfall/ingest/app'
import { readSdk } from '@footfall/ingest/routes/sdk'
import { refuseUnknown } from '@footfall/http/http-options'
import { runService, type Frame, type Service } from './frame.ts'
import { checkEventLogUrl, connectLog, followRegistry } from './servers.ts'

const handOverMs = 2_000

/** The log before a spool in the data directory. */
async function openSpoolingLog(frame: Frame) {
  const { config, logger } = frame
  // Before the spool is: it would wait for a log that never comes.
  checkEventLogUrl(config)
  const spool = await openEmbeddedEventLog({
    directory: join(config.dataDirectory, 'spool'),
    maxBytes: config.LOG_MAX_BYTES,
    retentionMs: 0,
  })
  void spool.failed.then((error) => frame.fail(error))
  const log = openSpoolingEventLog({
    connect: () => connectLog(frame),
    spool,
    topics: [topics.events],
    onProblem: (problem) => logger.error(problem),
  })
  frame.onClose(() => log.close())
  return log
}

/** Takes beacons to the log; goes on from its own disk while Kafka is away, or the store. */
export async function startIngest(config: Config): Promise<Service> {
  if (config.INGEST_INSTANCES > 1 && config.SALT_REDIS_URL === '')
    throw new PipelineError(
      'INVALID_REQUEST',
      'SALT_REDIS_URL: several ingests need a Redis to share their salts, or they count every visitor once each.',
    )
  return runService(config, async (frame, app) => {
    const { logger, metrics } = frame
    const log = await openSpoolingLog(frame)
    const registry = await followRegistry(frame, log)
    const { openSharedSalts } = await import('@footfall/ingest/shared-salts')
    const sharedSalts =
      config.SALT_REDIS_URL === ''
        ? undefined
        : openSharedSalts(config.SALT_REDIS_URL, { onProblem: (problem) => logger.error(problem) })
    if (sharedSalts) frame.onClose(() => sharedSalts.close())
    const share = (limit: number): number => Math.max(1, Math.ceil(limit / config.INGEST_INSTANCES))
    const ingest = createIngest({
      log,
      registry,
      metrics,
      logger,
      sdk: readSdk(findRoot()),
      saltsFile: join(config.dataDirectory, 'salts.json'),
      sharedSalts,
      config: {
        ...config,
        RATE_LIMIT_PER_KEY: share(config.RATE_LIMIT_PER_KEY),
        RATE_LIMIT_PER_ADDRESS: share(config.RATE_LIMIT_PER_ADDRESS),
      },
      notReady: frame.notReady,
    })
    refuseUnknown(app)
    await ingest.register(app)
    // A Redis that keeps salts on its disk is refused before the first event.
    await ingest.tick()
    frame.delayStop(config.STOP_DELAY_MS)
    // Never needed: what is down only delays.
    frame.watch(
      'log',
      async () => {
        await log.partitions(topics.events)
        if (!log.isShared()) throw new PipelineError('LOG_UNAVAILABLE', 'Events go to the spool.')
      },
      { isNeeded: false },
    )
    if (sharedSalts)
      frame.watch(
        'salts',
        async () => {
          const problem = sharedSalts.problem()
          if (problem !== null) throw new Error(problem)
        },
        { isNeeded: false },
      )
    // Refusals are no part of the ledger: a log that is away holds up no stop.
    frame.onClose(() => within(handOverMs, ingest.handOver()))
    frame.everySecond('refusals', () => ingest.handOver())
    frame.everySecond('upkeep of ingest', async () => {
      await ingest.tick()
      metrics.spooled.set(await log.spooled())
    })
    return null
  })
}

/** Hands on what the spool of a data directory holds, and ends: for a machine that is gone, or goes. */
export async function drainSpool(config: Config, tell: (left: number) => void): Promise<void> {
  const service = await runService({ ...config, PORT: 0 }, async (frame) => {
    const log = await openSpoolingLog(frame)
    frame.everySecond('progress', async () => tell(await log.spooled()))
    return () => log.drained()
  })
  const failed = service.failed.then((error) => Promise.reject(error))
  await Promise.race([service.ready, failed])
  await service.close()
}
