import { join } from 'node:path'
import type { Config } from '@footfall/config/config'
import { PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import type { EventLog } from '@footfall/event-log'
import type { KafkaExtras } from '@footfall/event-log/kafka'
import { openSharedEventLog } from '@footfall/event-log/open'
import type { JobQueue } from '@footfall/job-queue'
import type { RedisExtras } from '@footfall/job-queue/bullmq'
import { openSharedJobQueue } from '@footfall/job-queue/open'
import { openRegistry, type Registry } from '@footfall/registry/registry'
import { migrateNew, migrationsDirectory } from '@footfall/store/migrate'
import { refuseUnfinishedMove } from '@footfall/store/moves'
import { openStore, type Store } from '@footfall/store/open'
import type { Frame } from './frame.ts'

const hourMs = 3600_000

const needs = (name: string, form: string): PipelineError =>
  new PipelineError(
    'INVALID_REQUEST',
    `${name}: a service that runs alone needs ${form}; "footfall start" without a name runs everything in one process.`,
  )

/** @throws INVALID_REQUEST when the log is a directory: a service that runs alone shares one. */
export function checkEventLogUrl({ eventLogUrl }: Config): void {
  if (!eventLogUrl.startsWith('kafka:')) throw needs('EVENT_LOG_URL', 'kafka://host:port,host:port')
}

/** Connects to the log that all services share. @throws LOG_UNAVAILABLE; INVALID_REQUEST when it is a directory. */
export async function connectLog({
  config,
  logger,
}: Pick<Frame, 'config' | 'logger'>): Promise<EventLog & KafkaExtras> {
  checkEventLogUrl(config)
  return openSharedEventLog(config.eventLogUrl, {
    ...config,
    partitions: { [topics.events]: config.KAFKA_PARTITIONS, [topics.registry]: 1, [topics.refusals]: 1 },
    retainMs: {
      [topics.events]: config.KAFKA_RETENTION_HOURS * hourMs,
      [topics.registry]: null,
      [topics.refusals]: 7 * 24 * hourMs,
    },
    sessionTimeoutMs: config.KAFKA_SESSION_TIMEOUT_MS,
    onProblem: (problem) => logger.error(problem),
  })
}

/** The store that all services share. @throws INVALID_REQUEST when it is a directory. */
export function connectStore(config: Config): Store {
  if (!/^https?:/.test(config.storeUrl)) throw needs('STORE_URL', 'http://user@host:8123/footfall')
  const url = new URL(config.storeUrl)
  const database = url.pathname.replace(/^\//, '')
  return openStore({
    url: url.origin,
    user: decodeURIComponent(url.username) || 'default',
    password: decodeURIComponent(url.password) || (config.STORE_PASSWORD ?? ''),
    ...(database === '' ? {} : { database }),
  })
}

/** The queue that all services share. @throws INVALID_REQUEST when it is a directory. */
export function checkJobQueueUrl({ jobQueueUrl }: Config): string {
  if (!/^rediss?:/.test(jobQueueUrl)) throw needs('JOB_QUEUE_URL', 'redis://host:6379')
  return jobQueueUrl
}

/** Waits for the log, and closes it with the service. */
export async function openLog(frame: Frame): Promise<EventLog & KafkaExtras> {
  const log = await frame.persist('the log', () => connectLog(frame))
  frame.onClose(() => log.close())
  return log
}

/** Waits for the job queue, and closes it with the service. */
export async function openQueue(frame: Frame): Promise<JobQueue & RedisExtras> {
  const url = checkJobQueueUrl(frame.config)
  const queue = await frame.persist('the job queue', () =>
    openSharedJobQueue(url, { onProblem: (problem) => frame.logger.error(problem) }),
  )
  frame.onClose(() => queue.close())
  return queue
}

/** Rejects while the store does not answer; for `frame.watch`. */
export const storeAnswers = (store: Store) => async (): Promise<void> => {
  if (!(await store.ping())) throw new PipelineError('STORE_UNAVAILABLE')
}

/** The registry of a log, with its snapshot in the data directory; closed with the service. */
export async function followRegistry(frame: Frame, log: EventLog): Promise<Registry> {
  const registry = await openRegistry({
    log,
    snapshotFile: join(frame.config.dataDirectory, 'registry.json'),
    onProblem: (problem) => frame.logger.error(problem),
  })
  frame.onClose(() => registry.close())
  return registry
}

/**
 * Waits for the store, and for its schema: a new one is made, one of an older version is left to `footfall migrate`, since
 * several services start at once and one of them alone may change what holds events. Waits for a move into it too.
 */
export async function awaitSchema(frame: Frame, store: Store): Promise<void> {
  await frame.persist('the store', () => migrateNew(store, migrationsDirectory()))
  await frame.persist('the store', () => refuseUnfinishedMove(store))
}
