import type { Config } from '@footfall/config/config'
import { healthRoutes } from '@footfall/http/health'
import { refuseUnknown } from '@footfall/http/http-options'
import { startJobs } from '@footfall/jobs/start'
import { runService, type Service } from './frame.ts'
import { consumedToEnds, importSecretsFile } from './job-parts.ts'
import { checkJobQueueUrl, connectStore, followRegistry, migrateStore, openLog, openQueue } from './servers.ts'

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
      const queue = await openQueue(frame)
      const log = await openLog(frame)
      const registry = await followRegistry(frame, log)
      await migrateStore(frame, store)
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
