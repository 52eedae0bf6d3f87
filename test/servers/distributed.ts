import { mkdtemp, rm } from 'node:fs/promises'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ready, startService, type RunningService, type ServiceName } from './footfall.ts'
import { startKafka, type KafkaServers } from './kafka.ts'
import { httpAnswers, startLossyProxy, type LossyProxy } from './lossy-proxy.ts'
import { startRedis, type RedisServer } from './redis.ts'

/** A distributed installation on loopback: three brokers, two Redis, and every service in processes of its own. */
export interface Installation {
  readonly root: string
  readonly kafka: KafkaServers
  readonly jobRedis: RedisServer
  readonly saltRedis: RedisServer
  readonly store: RunningService
  readonly storeUrl: string
  readonly ingests: readonly RunningService[]
  readonly consumers: readonly RunningService[]
  readonly jobs: readonly RunningService[]
  readonly console: RunningService
  /** What every service is started with. */
  readonly environment: Readonly<Record<string, string>>
  /** Between the consumers and the store: loses answers to inserts. */
  readonly storeProxy: LossyProxy
  /** Starts one more service, which `close` ends. */
  readonly start: (service: ServiceName, name: string) => Promise<RunningService>
  /** kill -9 of the engine; its supervisor starts it again. */
  killStore(): void
  close(): Promise<void>
}

/** Kinds of request, as the protocol numbers them. */
const produce = 0
const offsetCommit = 8
const storePassword = 'distributed-store'

/** @param options.environment over what every service gets. */
export async function startInstallation(options: {
  adminToken: string
  environment?: Readonly<Record<string, string>>
  onLine?: (service: string, line: string) => void
}): Promise<Installation> {
  const root = await mkdtemp(join(tmpdir(), 'footfall-distributed-'))
  const directory = join(root, 'data')
  const closers: (() => Promise<unknown>)[] = []
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer()
    await rm(root, { recursive: true, force: true })
  }
  try {
    const [kafka, jobRedis, saltRedis] = await Promise.all([
      startKafka({ losing: [produce, offsetCommit] }),
      startRedis({}),
      startRedis({ appendonly: 'no', save: '' }),
    ])
    closers.push(() => Promise.all([kafka.stop(), jobRedis.stop(), saltRedis.stop()]))
    const base: Record<string, string> = {
      EVENT_LOG_URL: kafka.url,
      JOB_QUEUE_URL: jobRedis.url,
      SALT_REDIS_URL: saltRedis.url,
      STORE_PASSWORD: storePassword,
      KAFKA_PARTITIONS: '6',
      INGEST_INSTANCES: '2',
      STOP_DELAY_MS: '0',
      ADMIN_TOKEN: options.adminToken,
      LOG_LEVEL: 'warn',
      IMPORT_SECRETS_FILE: join(directory, 'import-secrets.json'),
      ...options.environment,
    }
    const start = async (
      service: Parameters<typeof startService>[0],
      name: string,
      environment: Readonly<Record<string, string>>,
    ): Promise<RunningService> => {
      const onLine = options.onLine ? { onLine: (line: string) => options.onLine!(name, line) } : {}
      const running = await startService(service, environment, { directory, name, restart: true, ...onLine })
      closers.push(() => running.stop())
      return running
    }
    const store = await start('embedded-clickhouse', 'store', base)
    const storeUrl = `http://default:${storePassword}@${new URL(store.url).host}/footfall`
    const environment = { ...base, STORE_URL: storeUrl }
    const storeProxy = await startLossyProxy(Number(new URL(store.url).port), httpAnswers('INSERT'))
    closers.push(() => storeProxy.close())
    const forConsumers = {
      ...environment,
      STORE_URL: storeUrl.replace(new URL(store.url).port, String(storeProxy.port)),
    }
    const consumers = await Promise.all([1, 2].map((number) => start('consumer', `consumer-${number}`, forConsumers)))
    const console = await start('console', 'console', environment)
    const ingests = await Promise.all([1, 2].map((number) => start('ingest', `ingest-${number}`, environment)))
    const jobs = await Promise.all([1, 2].map((number) => start('jobs', `jobs-${number}`, environment)))
    await Promise.all([...consumers, console, ...ingests, ...jobs].map(ready))
    return {
      root,
      kafka,
      jobRedis,
      saltRedis,
      store,
      storeUrl,
      ingests,
      consumers,
      jobs,
      console,
      environment,
      storeProxy,
      start: (service, name) => start(service, name, service === 'consumer' ? forConsumers : environment),
      killStore: () => void execFileSync('pkill', ['-KILL', '-P', String(store.pid())]),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
