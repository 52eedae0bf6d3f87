import { PipelineError } from '@footfall/contracts/errors'
import type { Deployment } from '@footfall/contracts/registry'
import { createLocalClock, shiftDay } from '@footfall/enrichment/local-time'
import type { Job, JobContext, JobQueue, Worker } from '@footfall/job-queue'
import { dirtyDays, foldDays } from '@footfall/store/fold'
import type { Store } from '@footfall/store/open'
import type { Logger } from '@footfall/telemetry/logger'
import * as z from 'zod'
import { backup, backupPayloadSchema, type BackupParts } from './backup.ts'
import { demoPayloadSchema, generateDemo } from './demo/generate.ts'
import { erase, erasePayloadSchema, type RewritableLog } from './erase.ts'
import { importAccessLog, importPayloadSchema } from './import/import-log.ts'
import { replayFailed, replayPayloadSchema } from './replay.ts'
import { expireEvents, forgetIds } from './retention.ts'

/**
 * `upkeep` holds what may see nobody else's work half done: folds, removals, replays and backups run there alone, over
 * all processes. `work` holds the rest.
 */
export const queues = { upkeep: 'upkeep', work: 'work' } as const

const upkeepSchema = z.strictObject({ task: z.enum(['fold', 'retention', 'reclaim']) })
/** What people ask for, by kind; the payload is checked before it is queued. */
export const workSchemas = {
  import: importPayloadSchema,
  erase: erasePayloadSchema,
  replay: replayPayloadSchema,
  backup: backupPayloadSchema,
  demo: demoPayloadSchema,
  fold: z.strictObject({}),
} as const
export type WorkKind = keyof typeof workSchemas
const workSchema = z.object({
  kind: z.enum(['import', 'erase', 'replay', 'backup', 'demo', 'fold']),
  payload: z.unknown(),
})

export interface JobsParts {
  readonly queue: JobQueue
  readonly store: Store
  readonly log: RewritableLog & { reclaim?(): Promise<unknown> }
  readonly logger: Logger
  readonly deployments: () => readonly Deployment[]
  readonly findDeployment: (id: string) => Deployment | null
  readonly consumedTo: (ends: readonly number[], signal: AbortSignal) => Promise<void>
  /** Absent where store and log are servers of their own, which have their own ways. */
  readonly backup?: Omit<BackupParts, 'store'>
  readonly importSecretsFile: string
  readonly retentionMonths: number
  readonly foldEveryMs?: number
  readonly now: () => number
}

/** Starts the queue's workers: folds and retention on a schedule, imports, erasure, replay and backups when asked. */
export async function startJobs(parts: JobsParts): Promise<{ close(): Promise<void> }> {
  const { queue, store, log, logger, now } = parts
  const localTime = createLocalClock()

  /** Folds every day that has ended and changed since its last fold; resolves to how many. */
  const foldNow = async (): Promise<number> => {
    const today = new Map(parts.deployments().map(({ id, time_zone }) => [id, localTime(time_zone, now()).day]))
    // A deployment that the registry no longer knows has no zone: its days end everywhere a day later.
    const elsewhere = shiftDay(new Date(now()).toISOString().slice(0, 10), -1)
    const days = await dirtyDays(store, (deployment) => today.get(deployment) ?? elsewhere)
    if (days.length > 0) await foldDays(store, days, { version: now() })
    return days.length
  }

  // First, since a full disk refuses them: then no worker has been started in vain.
  await queue.schedule(queues.upkeep, 'fold', parts.foldEveryMs ?? 60_000, { task: 'fold' })
  await queue.schedule(queues.upkeep, 'reclaim', 60_000, { task: 'reclaim' })
  await queue.schedule(queues.upkeep, 'retention', 24 * 3600_000, { task: 'retention' })

  const keepUp = async (task: z.infer<typeof upkeepSchema>['task']): Promise<unknown> => {
    switch (task) {
      case 'fold':
        return { days: await foldNow() }
      case 'reclaim':
        await log.reclaim?.()
        return {}
      case 'retention': {
        // Days are folded before their events go.
        await foldNow()
        const expired = await expireEvents(store, { months: parts.retentionMonths, now: now() })
        return { ...expired, ...(await forgetIds(store, log.logId)) }
      }
    }
  }

  const run = async (job: Job, context: JobContext): Promise<unknown> => {
    const upkeep = upkeepSchema.safeParse(job.payload)
    if (upkeep.success) return keepUp(upkeep.data.task)
    const { kind, payload } = workSchema.parse(job.payload)
    logger.info({ job: job.id, kind, attempt: job.attempt }, 'a job runs')
    // Handlers check their own payload: a job may be older than this version.
    const own = { ...job, payload }
    switch (kind) {
      case 'import':
        return importAccessLog(own, context, {
          log,
          store,
          consumedTo: parts.consumedTo,
          findDeployment: parts.findDeployment,
          secretsFile: parts.importSecretsFile,
          now,
        })
      case 'erase':
        return erase(own, context, {
          store,
          log,
          consumedTo: parts.consumedTo,
          timeZoneOf: (id) => parts.findDeployment(id)?.time_zone ?? 'UTC',
          refold: async () => void (await foldNow()),
          now,
        })
      case 'replay':
        return replayFailed(store, replayPayloadSchema.parse(payload), { now, signal: context.signal })
      case 'backup':
        if (!parts.backup)
          throw new PipelineError(
            'INVALID_REQUEST',
            'Here the store and the log are servers of their own: back ClickHouse up by its BACKUP; docs/operations.md says how.',
          )
        return backup(own, context, { ...parts.backup, store })
      case 'fold':
        return { days: await foldNow() }
      case 'demo':
        return generateDemo(own, context, { log, now })
    }
  }
  const upkeep = await queue.work<unknown>(queues.upkeep, run, { alone: true })
  const work = await queue.work<unknown>(queues.work, run)

  const workers: Worker[] = [upkeep, work]
  return {
    async close() {
      await Promise.all(workers.map((worker) => worker.close()))
    },
  }
}

/** Where a kind of work waits. */
export const queueOf = (kind: WorkKind): string => (kind === 'import' || kind === 'demo' ? queues.work : queues.upkeep)

/** Checks a request for work. @throws INVALID_REQUEST that names every fault. */
export function parseWork(kind: string, payload: unknown): { kind: WorkKind; payload: unknown } {
  if (!(kind in workSchemas)) {
    throw new PipelineError(
      'INVALID_REQUEST',
      `"${kind}" is no kind of job; there are ${Object.keys(workSchemas).join(', ')}.`,
    )
  }
  const parsed = workSchemas[kind as WorkKind].safeParse(payload)
  if (!parsed.success) {
    throw new PipelineError(
      'INVALID_REQUEST',
      parsed.error.issues.map((issue) => `${issue.path.join('.') || 'payload'}: ${issue.message}`).join('; '),
    )
  }
  return { kind: kind as WorkKind, payload: parsed.data }
}
