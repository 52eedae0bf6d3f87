import { randomBytes } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { registerConsole } from '@footfall/console/app'
import { startCanary, type CanaryParts } from '@footfall/console/canary'
import { createSignInLinks } from '@footfall/console/sign-in-links'
import { createUnconsumed } from '@footfall/console/unconsumed'
import { watchLedger } from '@footfall/console/watch-ledger'
import { startRefusalConsumer } from '@footfall/consumer/consume-refusals'
import { startConsumer, type RunningConsumer } from '@footfall/consumer/consume'
import type { Config } from '@footfall/config/config'
import { findRoot } from '@footfall/config/root'
import { errorTable, isPipelineError, PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import { superviseEmbeddedClickHouse, type EmbeddedClickHouse } from '@footfall/embedded-clickhouse/supervise'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { writeDurably } from '@footfall/event-log/files'
import { createIngest } from '@footfall/ingest/app'
import { createAddressReader } from '@footfall/http/client-address'
import { httpOptions, refuseWhileClosing } from '@footfall/http/http-options'
import { senderOf } from '@footfall/http/ip-address'
import { readSdk } from '@footfall/ingest/routes/sdk'
import { openEmbeddedJobQueue } from '@footfall/job-queue/embedded'
import { createFeeds } from '@footfall/jobs/import/feed'
import { registerJobRoutes } from '@footfall/jobs/routes'
import { startJobs } from '@footfall/jobs/start'
import { openRegistry } from '@footfall/registry/registry'
import { migrate, migrationsDirectory } from '@footfall/store/migrate'
import { openStore } from '@footfall/store/open'
import { storedPositions } from '@footfall/store/positions'
import { createLogger, type Logger } from '@footfall/telemetry/logger'
import { createMetrics } from '@footfall/telemetry/metrics'
import fastify, { type FastifyInstance } from 'fastify'
import { readAdminToken } from './admin-token.ts'
import { ensureFirstApp } from './first-app.ts'
import { keepStore } from './keep-store.ts'
import { refuseMoved } from './moved-file.ts'

export interface Standalone {
  readonly url: string
  readonly publicUrl: string
  readonly dataDirectory: string
  /** A new single-use link into the console. */
  signInLink(): string
  /** Settles once the store takes what is in the log: a moment after the start, or when it is back. */
  readonly storeReady: Promise<void>
  /** The engine's process; null while there is none. */
  storePid(): number | null
  /** Resolves with the reason when the process has to end: the disk failed. A store that is away is none. */
  readonly failed: Promise<Error>
  close(): Promise<void>
}

const firstRetryMs = 500
const lastRetryMs = 30_000

const fileOf = (url: string, scheme: string): string => {
  if (url.startsWith(`${scheme}:`)) return url.slice(scheme.length + 1)
  throw new PipelineError(
    'INVALID_REQUEST',
    `Standalone needs a ${scheme}: address, not ${url.split(':')[0]}:. Other engines run as services of their own.`,
  )
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export interface StandaloneOptions {
  readonly logger?: Logger
  readonly demo?: boolean
  /** Where the schema's migrations are; default: those of this version. */
  readonly migrations?: string
  /** The clock of the canary; for tests. */
  readonly canaryTime?: Pick<CanaryParts, 'now' | 'wait'>
}

/**
 * Everything in one process, and embedded ClickHouse beside it. Resolves when ingest and console answer: the store may
 * come later, go and come back, and is tried for ever.
 * @throws LOG_LOCKED when another process holds the directory; CONFLICT when its contents were moved elsewhere.
 */
export async function startStandalone(config: Config, options: StandaloneOptions = {}): Promise<Standalone> {
  const logger = options.logger ?? createLogger(config.LOG_LEVEL)
  const metrics = createMetrics()
  const directory = config.dataDirectory
  const inData = (name: string): string => join(directory, name)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await refuseMoved(directory)
  const adminToken = await readAdminToken(config.ADMIN_TOKEN, config.adminTokenFile)
  const storeDirectory = fileOf(config.storeUrl, 'embedded')
  const closers: (() => Promise<unknown>)[] = []
  const closing = new AbortController()
  const shut = (closer: () => Promise<unknown>): Promise<unknown> =>
    closer().catch((error: unknown) => logger.error({ err: error }, 'closing'))
  const close = async (): Promise<void> => {
    closing.abort()
    for (const closer of closers.splice(0).reverse()) await shut(closer)
  }

  try {
    const log = await openEmbeddedEventLog({
      directory: fileOf(config.eventLogUrl, 'file'),
      maxBytes: config.LOG_MAX_BYTES,
      retentionMs: config.LOG_RETENTION_HOURS * 3600_000,
      retainMs: { [topics.refusals]: 7 * 24 * 3600_000 },
    })
    closers.push(() => log.close())
    const queue = await openEmbeddedJobQueue({
      directory: fileOf(config.jobQueueUrl, 'file'),
      onProblem: (problem) => logger.error(problem),
    })
    closers.push(() => queue.close())
    const registry = await openRegistry({
      log,
      snapshotFile: inData('registry.json'),
      onProblem: (problem) => logger.error(problem),
    })
    closers.push(() => registry.close())

    const storePort = config.STORE_PORT || (await freePort())
    const storePassword = config.STORE_PASSWORD ?? randomBytes(24).toString('base64url')
    const store = openStore({ url: `http://127.0.0.1:${storePort}/footfall`, user: 'default', password: storePassword })
    closers.push(() => store.close())

    let consumer: RunningConsumer | null = null
    let consumerStopped: Error | null = null
    const storeProblems: Record<'engine' | 'schema', string | null> = { engine: null, schema: 'The store is starting.' }
    const storeProblem = (): string | null => storeProblems.engine ?? storeProblems.schema
    metrics.ready.set({ part: 'store' }, 0)
    const noteStore = (part: 'engine' | 'schema', problem: string | null): void => {
      storeProblems[part] = problem
      metrics.ready.set({ part: 'store' }, storeProblem() === null ? 1 : 0)
      if (problem !== null) logger.error({ problem }, 'the store is away; events stay in the log')
    }
    let logFailed: Error | null = null
    let end: (reason: Error) => void = () => undefined
    const failed = new Promise<Error>((resolve) => (end = resolve))
    log.failed.then(
      (error) => {
        logFailed = error
        logger.fatal({ err: error }, 'the event log failed')
        end(error)
      },
      () => undefined,
    )

    const unconsumed = createUnconsumed(
      log,
      // Before there is a consumer, or when there must not be one, the store knows how far it has come.
      async () => consumer?.positions() ?? storedPositions(store, log.logId).catch(() => undefined),
    )
    const pause = async (): Promise<() => void> => {
      const resume = (await consumer?.pause()) ?? (() => undefined)
      if (!closing.signal.aborted) return resume
      // Where a batch was given up is no place for a backup.
      resume()
      throw new PipelineError('NOT_READY')
    }
    const consumedTo = async (ends: readonly number[], signal: AbortSignal): Promise<void> => {
      while (ends.some((end, partition) => (consumer?.positions().get(partition) ?? 0) < end)) {
        signal.throwIfAborted()
        if (consumerStopped) throw consumerStopped
        await sleep(100, undefined, { signal })
      }
    }

    const app: FastifyInstance = fastify({
      ...httpOptions(),
      logger: false,
      bodyLimit: 1024 * 1024,
      forceCloseConnections: 'idle',
      // Plain answers for what no route takes.
      exposeHeadRoutes: true,
    })
    refuseWhileClosing(app)
    const publicUrlOf = (): string => {
      if (config.PUBLIC_URL) return config.PUBLIC_URL
      const { port } = app.server.address() as AddressInfo
      const host = config.HOST === '0.0.0.0' || config.HOST === '::' ? 'localhost' : config.HOST
      return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
    }
    const ingest = createIngest({
      log,
      registry,
      metrics,
      logger,
      sdk: readSdk(findRoot()),
      saltsFile: inData('salts.json'),
      config,
      notReady: () => (logFailed ? 'the event log failed' : closing.signal.aborted ? 'stopping' : null),
    })
    await ingest.register(app)
    const signInLinks = createSignInLinks({ now: Date.now, ttlMs: 15 * 60_000 })
    const clientOf = createAddressReader(config.TRUSTED_PROXIES)
    const { authorise } = await registerConsole(app, {
      store,
      registry,
      log,
      queue,
      config: { publicUrl: publicUrlOf, adminToken: () => adminToken, dataDirectory: directory },
      ledgerExtras: async (deployment) => ({ ...(await unconsumed.look(deployment)), spooled: 0 }),
      problem: () => {
        const away = storeProblem()
        return (
          consumerStopped?.message ??
          (away && `${away} Accepted events are kept in the log. Mend what is named: it is tried again until it works.`)
        )
      },
      addressOf: (request) => senderOf(clientOf(request).address),
      now: Date.now,
      signInLinks,
    })
    const feeds = createFeeds({
      log,
      store,
      consumedTo,
      findDeployment: (id) => registry.deployment(id),
      secretsFile: inData('import-secrets.json'),
      now: Date.now,
    })
    await registerJobRoutes(app, { queue, authorise, feeds, senderShare: () => ingest.senders.read() })
    await app.listen({ host: config.HOST, port: config.PORT })
    closers.push(async () => {
      await app.close()
      await ingest.handOver()
    })
    const url = `http://${config.HOST.includes(':') ? `[${config.HOST}]` : config.HOST}:${(app.server.address() as AddressInfo).port}`
    await ensureFirstApp(registry, { publicUrl: publicUrlOf(), demo: options.demo === true })

    const ticking = setInterval(() => {
      ingest.tick().catch((error: unknown) => logger.error({ err: error }, 'upkeep of ingest'))
      ingest.handOver().catch((error: unknown) => logger.error({ err: error }, 'refusals'))
      metrics.behindSeconds.set((consumer?.behindMs() ?? 0) / 1000)
      unconsumed.count().then(
        (records) => metrics.lag.set(records),
        () => undefined,
      )
      log.stats().then(
        ({ bytes }) => metrics.logBytes.set(bytes),
        () => undefined,
      )
    }, 1_000)
    closers.push(async () => clearInterval(ticking))
    const ledger = watchLedger({ store, metrics, logger })
    closers.push(() => ledger.close())
    if (config.CANARY_URL !== '') {
      const canary = startCanary({ url: config.CANARY_URL, registry, store, metrics, logger, ...options.canaryTime })
      closers.push(() => canary.close())
    }

    // A disk without room keeps commands from finding the server, and no beacon from coming in.
    const facts = { pid: process.pid, url, publicUrl: publicUrlOf(), storePort }
    await writeDurably(inData('server.json'), JSON.stringify(facts)).catch((error: unknown) =>
      logger.error({ err: error }, 'server.json could not be written'),
    )
    closers.push(() => rm(inData('server.json'), { force: true }))

    let embedded: EmbeddedClickHouse | null = null
    closers.push(async () => embedded?.close())
    /** What needs the store. All are closed together: a job may wait for the consumer, and it for a job. */
    const storeClosers: (() => Promise<unknown>)[] = []
    const startStoreSide = async (): Promise<void> => {
      embedded ??= await superviseEmbeddedClickHouse({
        directory: storeDirectory,
        backupsDirectory: inData('backups'),
        port: storePort,
        password: storePassword,
        memoryBytes: config.STORE_MEMORY_MB * 1_000_000,
        signal: closing.signal,
        onLog: (line) => logger.debug({ line }, 'embedded ClickHouse'),
        onProblem: (problem) => {
          metrics.storeRestarts.set(embedded?.restarts() ?? 0)
          noteStore('engine', problem)
        },
      })
      const { applied, backup } = await migrate(store, options.migrations ?? migrationsDirectory(), {
        backup: (name) => keepStore(store, inData('backups'), name),
      })
      if (backup !== null)
        logger.info({ applied, backup }, 'the store was migrated; its numbers agree with those before')
      closing.signal.throwIfAborted()
      const started = await startConsumer({
        log,
        store,
        logger,
        metrics,
        limits: {
          maxRecords: config.BATCH_MAX_RECORDS,
          maxBytes: config.BATCH_MAX_BYTES,
          flushIntervalMs: config.flushIntervalMs,
        },
      })
      consumer = started
      storeClosers.push(() => started.close())
      started.done.catch((error: Error) => {
        consumerStopped = error
        logger.fatal(
          { err: error.message, code: isPipelineError(error) ? error.code : undefined },
          'the consumer has stopped; events stay in the log',
        )
      })
      const refusals = await startRefusalConsumer({ log, store, logger })
      storeClosers.push(() => refusals.close())
      const jobs = await startJobs({
        queue,
        store,
        log,
        logger,
        deployments: () => registry.deployments().map(({ deployment }) => deployment),
        findDeployment: (id) => registry.deployment(id),
        consumedTo,
        backup: {
          pause,
          copyLog: (target) => log.copyTo(target),
          backupsDirectory: inData('backups'),
          files: [inData('import-secrets.json')],
          now: Date.now,
        },
        importSecretsFile: inData('import-secrets.json'),
        retentionMonths: config.RETENTION_MONTHS,
        now: Date.now,
      })
      storeClosers.push(() => jobs.close())
    }
    /** Tried for ever, whatever is wrong: the log keeps what comes meanwhile, and ingest needs none of it. */
    const openStoreSide = async (): Promise<void> => {
      for (let delay = firstRetryMs; ; delay = Math.min(lastRetryMs, delay * 2)) {
        try {
          await startStoreSide()
          return noteStore('schema', null)
        } catch (error) {
          // What was started of it starts anew; the engine runs on.
          await Promise.all(storeClosers.splice(0).map(shut))
          closing.signal.throwIfAborted()
          const hint = isPipelineError(error) && !error.retryable ? ` ${errorTable[error.code].hint}` : ''
          noteStore('schema', `${error instanceof Error ? error.message : String(error)}${hint}`)
          await sleep(delay, undefined, { signal: closing.signal })
        }
      }
    }
    const storeReady = openStoreSide()
    storeReady.catch(() => undefined)
    closers.push(async () => {
      await storeReady.catch(() => undefined)
      await Promise.all(storeClosers.map(shut))
    })
    metrics.ready.set({ part: 'standalone' }, 1)

    return {
      url,
      publicUrl: publicUrlOf(),
      dataDirectory: directory,
      signInLink: () => `${publicUrlOf()}/sign-in/${signInLinks.issue()}`,
      storeReady,
      storePid: () => embedded?.pid() ?? null,
      failed,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
