import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '@footfall/config/config'
import { topics } from '@footfall/contracts/event'
import { registerConsole } from '@footfall/console/app'
import { startCanary } from '@footfall/console/canary'
import { createSignInLinks } from '@footfall/console/sign-in-links'
import { createUnconsumed, shareLooks } from '@footfall/console/unconsumed'
import { watchLedger } from '@footfall/console/watch-ledger'
import { writeDurably } from '@footfall/event-log/files'
import { createAddressReader } from '@footfall/http/client-address'
import { healthRoutes } from '@footfall/http/health'
import { senderOf } from '@footfall/http/ip-address'
import { createFeeds } from '@footfall/jobs/import/feed'
import { registerJobRoutes } from '@footfall/jobs/routes'
import { readAdminToken } from '@footfall/standalone/admin-token'
import { storedPositions } from '@footfall/store/positions'
import { publicUrlOf, runService, type Service } from './frame.ts'
import { consumedToEnds, importSecretsFile } from './job-parts.ts'
import { connectStore, followRegistry, openLog, openQueue, storeAnswers } from './servers.ts'

/** The web face and its API. Starts once log and job queue answer; the store may come and go. */
export async function startConsoleService(
  config: Config,
): Promise<Service & { readonly publicUrl: string; signInLink(): string }> {
  const signInLinks = createSignInLinks({ now: Date.now, ttlMs: 15 * 60_000 })
  let publicUrl = (): string => config.PUBLIC_URL
  const service = await runService(config, async (frame, app) => {
    const { logger, metrics } = frame
    healthRoutes(app, { metrics, notReady: frame.notReady })
    const adminToken = await readAdminToken(config.ADMIN_TOKEN, config.adminTokenFile)
    const store = connectStore(config)
    frame.onClose(() => store.close())
    const queue = await openQueue(frame)
    const log = await openLog(frame)
    const registry = await followRegistry(frame, log)
    publicUrl = () => publicUrlOf(config, app)
    const unconsumed = createUnconsumed(log, () => storedPositions(store, log.logId))
    const look = shareLooks((deployment) => unconsumed.look(deployment), Date.now)
    const clientOf = createAddressReader(config.TRUSTED_PROXIES)
    const { authorise } = await registerConsole(app, {
      store,
      registry,
      log,
      queue,
      config: { publicUrl, adminToken: () => adminToken, dataDirectory: config.dataDirectory },
      ledgerExtras: async (deployment) => ({ ...(await look(deployment)), spooled: null }),
      problem: () => null,
      addressOf: (request) => senderOf(clientOf(request).address),
      now: Date.now,
      signInLinks,
    })
    const feeds = createFeeds({
      log,
      store,
      consumedTo: consumedToEnds(store, log.logId),
      findDeployment: (id) => registry.deployment(id),
      secretsFile: importSecretsFile(config),
      now: Date.now,
    })
    await registerJobRoutes(app, { queue, authorise, feeds })
    const file = join(config.dataDirectory, 'server.json')
    frame.onClose(() => rm(file, { force: true }))
    return async () => {
      // Pages answer without them, and name the cause.
      frame.watch('store', storeAnswers(store), { isNeeded: false })
      frame.watch('log', () => log.partitions(topics.events), { isNeeded: false })
      frame.watch('job-queue', () => queue.ping(), { isNeeded: false })
      const ledger = watchLedger({ store, metrics, logger })
      frame.onClose(() => ledger.close())
      if (config.CANARY_URL !== '') {
        const canary = startCanary({ url: config.CANARY_URL, registry, store, metrics, logger })
        frame.onClose(() => canary.close())
      }
      const url = publicUrlOf({ ...config, PUBLIC_URL: '' }, app)
      await writeDurably(file, JSON.stringify({ pid: process.pid, url, publicUrl: publicUrl() }))
    }
  })
  return {
    ...service,
    get publicUrl() {
      return publicUrl()
    },
    signInLink: () => `${publicUrl()}/sign-in/${signInLinks.issue()}`,
  }
}
