import type { Config } from '@footfall/config/config'
import { healthRoutes } from '@footfall/http/health'
import { topics } from '@footfall/contracts/event'
import { refuseUnknown } from '@footfall/http/http-options'
import { startJobs } from '@footfall/jobs/start'
import { runService, type Service } from './frame.ts'
import { consumedToEnds, importSecretsFile } from './job-parts.ts'
import {
  awaitSchema,
  checkJobQueueUrl,
  connectStore,
  followRegistry,
  openLog,
  openQueue,
  storeAnswers,
} from './servers.ts'

/** Folds, retention, erasure, replay and imports; several share the queue. */
export async function startJobsService(config: Config): Promise<Service> {
  return runService(config, async (frame, app) => {
    const { logger, metrics } = frame
    refuseUnknown(app)
    healthRoutes(app, { metrics, notReady: frame.notReady })
    const store = connectStore(config)
    frame.onClose(() => store.close())
    checkJobQueueUrl(config)
    return async () => {
      frame.watch('store', storeAnswers(store), { isNeeded: true })
      const queue = await openQueue(frame)
      frame.watch('job-queue', () => queue.ping(), { isNeeded: true })
      const log = await openLog(frame)
      frame.watch('log', () => log.partitions(topics.events), { isNeeded: true })
      const registry = await followRegistry(frame, log)
      await awaitSchema(frame, store)
      const jobs = await frame.persist('the job queue', () =>
        startJobs({
          queue,
          store,
          log,
          logger,
          deployments: () => registry.deployments().map(({ deployment }) => deployment),
          findDeployment: (id) => registry.deployment(id),
          consumedTo: consumedToEnds(store, log.logId),
          importSecretsFile: importSecretsFile(config),
          retentionMonths: config.RETENTION_MONTHS,
          now: Date.now,
        }),
      )
      frame.onClose(() => jobs.close())
    }
  })
}
