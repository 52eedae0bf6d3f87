import { join } from 'node:path'
import type { Config } from '@footfall/config/config'
import { findRoot } from '@footfall/config/root'
import { healthRoutes } from '@footfall/http/health'
import { refuseUnknown } from '@footfall/http/http-options'
import { openJobQueue } from '@footfall/job-queue/open'
import { startJobs } from '@footfall/jobs/start'
import { openRegistry } from '@footfall/registry/registry'
import { migrate } from '@footfall/store/migrate'
import { runService, type Service } from './frame.ts'
import { consumedToEnds, importSecretsFile } from './job-parts.ts'
import { checkJobQueueUrl, connectLog, connectStore } from './servers.ts'

/** Folds, retention, erasure, replay and imports; several share the queue. */
export async function startJobsService(config: Config): Promise<Service> {
  return runService(config, async (frame, app) => {
    const { logger, metrics } = frame
    refuseUnknown(app)
    healthRoutes(app, { metrics, notReady: frame.notReady })
    const store = connectStore(config)
    frame.onClose(() => store.close())
    const url = checkJobQueueUrl(config)
    return async () => {
      const queue = await frame.persist('the job queue', () =>
        openJobQueue(url, { onProblem: (problem) => logger.error(problem) }),
      )
      frame.onClose(() => queue.close())
      const log = await frame.persist('the log', () => connectLog(frame))
      frame.onClose(() => log.close())
      const registry = await openRegistry({
        log,
        snapshotFile: join(config.dataDirectory, 'registry.json'),
        onProblem: (problem) => logger.error(problem),
      })
      frame.onClose(() => registry.close())
      await frame.persist('the store', () => migrate(store, join(findRoot(), 'shared/store/migrations')))
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
