import { createHash, randomUUID } from 'node:crypto'
import { PipelineError, isPipelineError } from '@footfall/contracts/errors'
import { createRedisBackend, Queue, Worker as BullWorker, type Job as BullJob } from 'bullmq'
import { Redis } from 'ioredis'
import type { EnqueueOptions, Job, JobHandler, JobProgress, JobQueue, JobState, Worker } from './job-queue.ts'
import {
  asJson,
  backoffAfter,
  diedRunning,
  idleMs,
  keepFinished,
  keepFinishedMs,
  waitFor,
  withoutCheckpoint,
} from './job-rules.ts'
import { checkRedis, nameRedis, readRedisUrl } from './redis-server.ts'

export interface BullJobQueueOptions {
  /** `redis://user:password@host:6379/0`, or `rediss:` for TLS. */
  readonly url: string
  /** What every key in Redis begins with. */
  readonly prefix?: string
  /** A worker that has not been heard of for so long has lost its job. */
  readonly lockMs?: number
  /** How long an answer of Redis is waited for. */
  readonly answerMs?: number
  /** Told when Redis is away or refuses, once while it lasts. */
  readonly onProblem?: (problem: string) => void
}

/** What only a queue on a server can be asked. */
export interface RedisExtras {
  /** Resolves when Redis answers. @throws JOB_QUEUE_UNAVAILABLE */
  ping(): Promise<void>
}

/** What BullMQ keeps for us as the data of a job; its own count of attempts and its own progress are not used. */
interface StoredJob {
  readonly payload: unknown
  readonly key: string | null
  readonly attempts: number
  readonly backoffMs: number
  readonly progress: JobProgress | null
  readonly error: string | null
  /** Starts that did not use up an attempt. */
  readonly uncounted: number
  /** How often its worker had died when this was written. */
  readonly deaths: number
}

interface Schedule {
  readonly everyMs: number
  readonly payload: unknown
  readonly nextAt: number
  /** The last repetition; it may not be there yet. */
  readonly job: string | null
  readonly created: boolean
  /** The repetition before, which the last one replaces. */
  readonly former: string | null
}

type End =
  | { readonly state: 'done'; readonly result: unknown }
  | { readonly state: 'failed'; readonly error: string }
  | { readonly state: 'delayed'; readonly runAt: number }
  | { readonly state: 'waiting' }

/** Fields after the keys: token, lock in ms, start of the job, its id, its data or ''. */
// A lock that lapsed while Redis was away is taken again, as long as nobody has begun the job since. A full memory does
// not keep a job in hand from its end: what has ended makes room.
const holdScript = `#!lua flags=allow-oom
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
if not owner then
  if redis.call('HGET', KEYS[2], 'ats') ~= ARGV[3] then return 0 end
  if not redis.call('LPOS', KEYS[3], ARGV[4]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SREM', KEYS[4], ARGV[4])
if ARGV[5] ~= '' then redis.call('HSET', KEYS[2], 'data', ARGV[5]) end
return 1`

/** Replaces a field of a hash if it still has the value that was read ('' for none). */
const replaceFieldScript = `#!lua
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1`

const replaceScript = `#!lua
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`

/** Whoever asks only whether Redis is there gives up sooner. */
const pingMs = 3_000

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Makes ids that sort in the order in which they were made here, and by time among processes (RFC 9562, version 7). */
function createIds(now: () => number): () => string {
  let last = 0
  let count = 0
  return () => {
    const time = now()
    count = time > last ? 0 : count + 1
    last = Math.max(time, last) + (count >> 12)
    count &= 0xfff
    const text = last.toString(16).padStart(12, '0')
    return `${text.slice(0, 8)}-${text.slice(8)}-7${count.toString(16).padStart(3, '0')}-${randomUUID().slice(19)}`
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/**
 * The job queue on Redis, for as many processes as wanted. BullMQ keeps the lists, the times, the locks and the finished
 * jobs; how often a job runs, its progress and its schedules are our own, so that they are what the port says.
 * A key that a crash leaves without its job is taken up by the next job of that key.
 * @throws JOB_QUEUE_UNAVAILABLE when Redis does not answer (retryable), or may forget jobs (not retryable).
 */
export async function openBullJobQueue(options: BullJobQueueOptions): Promise<JobQueue & RedisExtras> {
  const { prefix = 'footfall', lockMs = 30_000, answerMs = 5_000 } = options
  const connection = readRedisUrl(options.url)
  const server = nameRedis(connection)
  const newId = createIds(Date.now)
  const queues = new Map<string, Queue<StoredJob>>()
  const workers = new Set<Worker & { queue: string; wake(): void; renew(): void }>()
  /** Lets our workers look as soon as a job may run; those of other processes look every now and then. */
  const wake = (queue: string, runAt = 0): void => {
    const now = (): void => workers.forEach((worker) => void (worker.queue === queue && worker.wake()))
    if (runAt <= Date.now()) now()
    else if (runAt < Date.now() + idleMs) setTimeout(now, runAt - Date.now())
  }
  let closing = false

  let lastProblem = ''
  const report = (error: unknown): void => {
    const problem = `The job queue at ${server}: ${messageOf(error)}`
    if (!closing && problem !== lastProblem) options.onProblem?.(problem)
    lastProblem = problem
  }
  const unavailable = (cause: unknown): PipelineError =>
    isPipelineError(cause)
      ? cause
      : new PipelineError('JOB_QUEUE_UNAVAILABLE', `Redis at ${server}: ${messageOf(cause)}`, { cause })

  const redis = new Redis({
    ...connection,
    lazyConnect: true,
    connectTimeout: answerMs,
    // Whoever asked has been refused by then.
    socketTimeout: 2 * answerMs,
    // A command that was refused must not run later behind the caller's back.
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (times) => Math.min(times * 50, 1_000),
    // After a failover the name leads to the new primary.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  })
  let away: Error | null = null
  redis.on('error', (error) => {
    away = error
    report(error)
  })
  redis.on('ready', () => {
    away = null
    lastProblem = ''
    // Before a search for dead workers takes jobs from us whose locks lapsed while Redis was away.
    for (const worker of workers) worker.renew()
  })

  /** What Redis answers. @throws JOB_QUEUE_UNAVAILABLE when it is away, refuses, or is silent for too long. */
  const ask = async <Answer>(question: () => Promise<Answer>, withinMs = answerMs): Promise<Answer> => {
    let timer: NodeJS.Timeout | undefined
    let tell: (() => void) | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(away ?? new Error('no answer')), withinMs)
    })
    try {
      if (redis.status !== 'ready')
        await Promise.race([new Promise<void>((resolve) => redis.once('ready', (tell = resolve))), late])
      return await Promise.race([question(), late])
    } catch (error) {
      throw unavailable(error)
    } finally {
      clearTimeout(timer)
      if (tell) redis.off('ready', tell)
    }
  }

  try {
    await redis.connect()
    checkRedis(await redis.info(), server)
  } catch (error) {
    redis.disconnect()
    // What ioredis throws here is only that there is no connection; why, it has said before.
    throw unavailable(isPipelineError(error) ? error : (away ?? error))
  }

  const nameOf = (queue: string): string => encodeURIComponent(queue)
  const pointerOf = (queue: string, key: string): string =>
    `${prefix}-keys:${nameOf(queue)}:${createHash('sha256').update(key).digest('hex')}`
  const schedulesOf = (queue: string): string => `${prefix}-schedules:${nameOf(queue)}`
  const idOf = (queue: string, bull: { id?: string }): string => `${queue}-${bull.id}`

  /** The queue, connected. A first connection that fails is not remembered. */
  const openQueue = async (queue: string): Promise<Queue<StoredJob>> => {
    const known = queues.get(queue)
    // Nobody reads BullMQ's stream of events.
    const opened =
      known ?? new Queue(nameOf(queue), { connection: redis, prefix, streams: { events: { maxLen: 100 } } })
    if (!known) queues.set(queue, opened.on('error', report))
    try {
      await opened.waitUntilReady()
      return opened
    } catch (error) {
      queues.delete(queue)
      throw error
    }
  }

  const show = (queue: string, bull: BullJob<StoredJob>, state: JobState, stored = bull.data): Job => ({
    id: idOf(queue, bull),
    queue,
    payload: stored.payload,
    state,
    attempt: bull.attemptsStarted - stored.uncounted,
    progress: stored.progress,
    result: (bull.returnvalue as unknown) ?? null,
    error: state === 'done' ? null : bull.stalledCounter > stored.deaths ? diedRunning : stored.error,
    createdAt: bull.timestamp,
    finishedAt: bull.finishedOn ?? null,
  })

  /** A job as it is now; one that finished too long ago is no longer known. */
  const find = async (queue: string, bullId: string): Promise<Job | null> => {
    // Asked first: a name that somebody made up creates no queue.
    if (!(await redis.exists(`${prefix}:${nameOf(queue)}:${bullId}`))) return null
    const opened = await openQueue(queue)
    // The state before the job: what has finished meanwhile says so itself.
    const state = await opened.getJobState(bullId)
    const bull = await opened.getJob(bullId)
    if (!bull) return null
    if (bull.finishedOn === undefined) return show(queue, bull, state === 'active' ? 'running' : 'waiting')
    if (bull.finishedOn < Date.now() - keepFinishedMs) return null
    return show(queue, bull, bull.failedReason ? 'failed' : 'done')
  }

  const toStored = (payload: unknown, { key, attempts, backoffMs }: EnqueueOptions): StoredJob => ({
    payload: asJson(payload),
    key: key ?? null,
    attempts: attempts ?? 5,
    backoffMs: backoffMs ?? 1_000,
    progress: null,
    error: null,
    uncounted: 0,
    deaths: 0,
  })

  /** Adds a job unless there is one of that id. */
  const add = async (queue: string, bullId: string, stored: StoredJob, runAt?: number): Promise<BullJob<StoredJob>> => {
    const kept = { age: keepFinishedMs / 1_000, count: keepFinished }
    const timestamp = Date.now()
    const opened = await openQueue(queue)
    const added = await opened.add('job', stored, {
      jobId: bullId,
      timestamp,
      delay: Math.max(0, (runAt ?? 0) - timestamp),
      removeOnComplete: kept,
      removeOnFail: kept,
      stackTraceLimit: 0,
    })
    wake(queue, runAt)
    return added
  }

  const enqueue = async (queue: string, payload: unknown, given: EnqueueOptions = {}): Promise<Job> => {
    if (closing) throw new PipelineError('NOT_READY', 'The job queue is closed.')
    const stored = toStored(payload, given)
    const own = newId()
    const { key, runAt } = given
    if (key === undefined) return ask(async () => show(queue, await add(queue, own, stored, runAt), 'waiting'))
    const pointer = pointerOf(queue, key)
    return ask(async () => {
      for (;;) {
        const holder = (await redis.set(pointer, own, 'NX', 'GET')) ?? own
        const known = await find(queue, holder)
        if (known?.state === 'failed') {
          await redis.eval(replaceScript, 1, pointer, holder, own)
          continue
        }
        if (known) return known
        // Nobody's, or of somebody who is adding it just now: it is added once.
        const added = await add(queue, holder, stored, runAt)
        if (holder === own) return show(queue, added, 'waiting')
      }
    })
  }

  /** Enqueues what is due; a repetition whose last run is not over is not doubled. */
  const runSchedules = async (queue: string): Promise<void> => {
    const key = schedulesOf(queue)
    for (const [id, text] of Object.entries(await redis.hgetall(key))) {
      let schedule = JSON.parse(text) as Schedule
      let written = text
      const replace = async (next: Schedule): Promise<boolean> => {
        const replaced = await redis.eval(replaceFieldScript, 1, key, id, written, JSON.stringify(next))
        schedule = next
        written = JSON.stringify(next)
        return replaced === 1
      }
      if (schedule.created) {
        if (schedule.nextAt > Date.now()) continue
        const last = schedule.job === null ? null : await find(queue, schedule.job)
        const nextAt = Date.now() + schedule.everyMs
        const isOver = last?.state !== 'waiting' && last?.state !== 'running'
        const next = isOver ? { job: newId(), created: false, former: schedule.job } : {}
        // One worker has it, whoever else looked; what it leaves undone the next to look will do.
        if (!(await replace({ ...schedule, nextAt, ...next })) || !isOver) continue
      }
      if (schedule.job !== null) await add(queue, schedule.job, toStored(schedule.payload, { attempts: 1 }))
      if (schedule.former !== null) await (await openQueue(queue)).remove(schedule.former)
      await replace({ ...schedule, created: true, former: null })
    }
  }

  /** Runs a job that is ours from now on, until its end is written, another worker has it, or the queue closes. */
  const runJob = async (
    queue: string,
    bull: BullJob<StoredJob>,
    token: string,
    handler: JobHandler,
    stop: AbortSignal,
    renewals: Set<() => void>,
  ): Promise<void> => {
    const opened = await openQueue(queue)
    const keys = [`${bull.id}:lock`, bull.id!, 'active', 'stalled'].map((name) => opened.toKey(name))
    const lost = new AbortController()
    const hold = async (data: StoredJob | null): Promise<void> => {
      const text = data ? JSON.stringify(data) : ''
      const held = await ask(() =>
        redis.eval(holdScript, keys.length, ...keys, token, lockMs, bull.attemptsStarted, bull.id!, text),
      )
      if (held === 1) return
      lost.abort()
      throw new PipelineError('JOB_QUEUE_UNAVAILABLE', `Job ${idOf(queue, bull)} has gone to another worker.`)
    }

    let stored = bull.data
    if (bull.stalledCounter > stored.deaths) stored = { ...stored, error: diedRunning, deaths: bull.stalledCounter }
    const attempt = bull.attemptsStarted - stored.uncounted
    const uncount = (): void => void (stored = { ...stored, uncounted: stored.uncounted + 1 })
    const fail = (error: string): End => {
      stored = { ...stored, error, progress: withoutCheckpoint(stored.progress) }
      return { state: 'failed', error }
    }

    const signal = AbortSignal.any([stop, lost.signal])
    const run = async (): Promise<End> => {
      if (stop.aborted) {
        uncount()
        return { state: 'waiting' }
      }
      if (attempt > stored.attempts) {
        // It is the run before that died: this one does not begin.
        uncount()
        return fail(diedRunning)
      }
      let over = false
      try {
        const result = await handler(show(queue, bull, 'running', stored), {
          signal,
          async progress(progress) {
            // What a handler left behind and did not wait for is not part of its run.
            if (over) return
            const next = { ...stored, progress: asJson(progress) as JobProgress }
            await hold(next)
            stored = next
          },
        })
        const end = { state: 'done', result: asJson(result) } as const
        stored = { ...stored, error: null }
        return end
      } catch (error) {
        const message = messageOf(error)
        const runAt = Date.now() + backoffAfter(attempt, stored.backoffMs)
        // Stopped by us, or by Redis, not by a fault of its own: the attempt does not count.
        const isOurs = stop.aborted || isPipelineError(error, 'JOB_QUEUE_UNAVAILABLE')
        if (!isOurs && (attempt >= stored.attempts || (error instanceof PipelineError && !error.retryable)))
          return fail(message)
        stored = { ...stored, error: message }
        if (isOurs) uncount()
        return stop.aborted ? { state: 'waiting' } : { state: 'delayed', runAt }
      } finally {
        over = true
      }
    }
    const finish = async (end: End): Promise<void> => {
      switch (end.state) {
        case 'done':
          await bull.moveToCompleted(end.result, token, false)
          break
        case 'failed':
          await bull.moveToFailed(new Error(end.error), token, false)
          break
        case 'delayed':
          await bull.moveToDelayed(end.runAt, token)
          return wake(queue, end.runAt)
        case 'waiting':
          return void (await bull.moveToWait(token))
      }
      // Until then the key leads to a job that is there, and as long as this one is known.
      if (stored.key !== null) await redis.pexpire(pointerOf(queue, stored.key), keepFinishedMs)
    }

    const renew = (): void => void hold(null).catch(report)
    const renewal = setInterval(renew, lockMs / 3)
    renewals.add(renew)
    try {
      const end = await run()
      // However long Redis is away: a result is not thrown away while nobody else has the job.
      while (!lost.signal.aborted) {
        try {
          await hold(stored)
          await ask(() => finish(end))
          return
        } catch (error) {
          report(error)
          // Closed before it could be written: the lock lapses, and it runs again.
          if (stop.aborted) return
          await waitFor(idleMs, signal)
        }
      }
    } finally {
      clearInterval(renewal)
      renewals.delete(renew)
    }
  }

  const work = async <Payload>(
    queue: string,
    handler: JobHandler<Payload>,
    { concurrency = 1, alone = false } = {},
  ): Promise<Worker> => {
    const stop = new AbortController()
    const running = new Set<Promise<void>>()
    const renewals = new Set<() => void>()
    let look = new AbortController()
    let bull: BullWorker<StoredJob> | null = null

    /** A worker without a loop and a connection of its own: we fetch, and say what becomes of each job. */
    const openWorker = async (): Promise<BullWorker<StoredJob>> => {
      if (bull) return bull
      const settings = {
        connection: redis,
        prefix,
        autorun: false,
        lockDuration: lockMs,
        stalledInterval: lockMs,
        // How often a job may die is for its attempts to say.
        maxStalledCount: Number.MAX_SAFE_INTEGER,
      }
      const opened = new BullWorker<StoredJob>(nameOf(queue), null, settings, (name, given) =>
        createRedisBackend(name, given),
      )
      opened.on('error', report)
      try {
        await opened.waitUntilReady()
        if (alone) await (await openQueue(queue)).setGlobalConcurrency(1)
        await opened.startStalledCheckTimer()
        return (bull = opened)
      } catch (error) {
        await opened.close(true)
        throw error
      }
    }

    /** Begins jobs as long as there are some and hands are free. */
    const fetchJobs = async (): Promise<void> => {
      while (!stop.signal.aborted && running.size < concurrency) {
        const token = randomUUID()
        // Polled: a command that blocks needs a connection that can hang by itself. An answer is waited for as long as
        // the connection lasts: it may hold a job.
        if (redis.status !== 'ready') return
        const job = await (await openWorker()).getNextJob(token, { block: false })
        if (!job) return
        const run: Promise<void> = runJob(queue, job, token, handler as JobHandler, stop.signal, renewals)
          .catch(report)
          .finally(() => {
            running.delete(run)
            look.abort()
          })
        running.add(run)
      }
    }
    const loop = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        look = new AbortController()
        await ask(() => runSchedules(queue)).catch(report)
        await fetchJobs().catch(report)
        await waitFor(idleMs, AbortSignal.any([look.signal, stop.signal]))
      }
      await Promise.all(running)
      await bull?.close()
    }
    const looped = loop()
    const worker = {
      queue,
      wake: () => look.abort(),
      renew: () => renewals.forEach((renew) => renew()),
      async close() {
        stop.abort()
        await looped
        workers.delete(worker)
      },
    }
    workers.add(worker)
    return worker
  }

  return {
    enqueue,
    work,
    status: (id) => {
      const bullId = id.slice(-36)
      return uuid.test(bullId) ? ask(() => find(id.slice(0, -37), bullId)) : Promise.resolve(null)
    },
    list: (queue, limit = 50) =>
      ask(async () => {
        const opened = await openQueue(queue)
        const ids = await opened.getRanges(['waiting', 'active', 'delayed', 'completed', 'failed'], 0, -1)
        const newest = ids.sort().reverse().slice(0, limit)
        const jobs = await Promise.all(newest.map((id) => find(queue, id)))
        return jobs.filter((job) => job !== null)
      }),
    async schedule(queue, id, everyMs, payload) {
      const kept = asJson(payload)
      await ask(async () => {
        for (;;) {
          const text = (await redis.hget(schedulesOf(queue), id)) ?? ''
          const known = text === '' ? null : (JSON.parse(text) as Schedule)
          const nextAt = Math.min(known?.nextAt ?? Date.now(), Date.now() + everyMs)
          const none = { job: null, created: true, former: null }
          const next: Schedule = { ...(known ?? none), everyMs, payload: kept, nextAt }
          if (await redis.eval(replaceFieldScript, 1, schedulesOf(queue), id, text, JSON.stringify(next))) return
        }
      })
      wake(queue)
    },
    ping: () => ask(async () => void (await redis.ping()), Math.min(answerMs, pingMs)),
    async close() {
      closing = true
      await Promise.all([...workers].map((worker) => worker.close()))
      await Promise.all([...queues.values()].map((queue) => queue.close()))
      redis.disconnect()
    },
  }
}
