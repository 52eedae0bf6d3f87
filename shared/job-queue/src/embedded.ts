import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isPipelineError, PipelineError } from '@footfall/contracts/errors'
import type { EnqueueOptions, Job, JobHandler, JobProgress, JobQueue, Worker } from './job-queue.ts'
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

export interface EmbeddedJobQueueOptions {
  readonly directory: string
  /** Unix milliseconds. */
  readonly now?: () => number
  /** Resolves after a time, or at once when the signal aborts. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>
  /** A file that cannot be read is set aside and reported; so is a write that fails, each time it is tried. */
  readonly onProblem?: (problem: string) => void
  /** Writes all of a new file and syncs it, or throws; tests put a full disk in its place. */
  readonly writeFile?: (path: string, text: string) => Promise<void>
}

/** As its file has it: a job changes by being replaced, once the new one is written. */
interface StoredJob extends Job {
  readonly key: string | null
  readonly attempts: number
  readonly backoffMs: number
  readonly runAt: number
}

interface Schedule {
  queue: string
  id: string
  everyMs: number
  payload: unknown
  nextAt: number
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function writeAndSync(path: string, text: string): Promise<void> {
  const handle = await open(path, 'w', 0o600)
  try {
    await handle.writeFile(text)
    await handle.datasync()
  } finally {
    await handle.close()
  }
}

const fail = (job: StoredJob, error: string, at: number): StoredJob => ({
  ...job,
  state: 'failed',
  progress: withoutCheckpoint(job.progress),
  error,
  finishedAt: at,
})

/**
 * A spool of small files, one a job: durable when a call resolves, and whole after a kill at any line. A job that was
 * running when the process died waits again; its run counts as an attempt. One process owns the directory.
 */
export async function openEmbeddedJobQueue(options: EmbeddedJobQueueOptions): Promise<JobQueue> {
  const { directory } = options
  const now = options.now ?? Date.now
  const wait = options.wait ?? waitFor
  const report = options.onProblem ?? (() => undefined)
  const writeFile = options.writeFile ?? writeAndSync
  const jobs = new Map<string, StoredJob>()
  const byKey = new Map<string, string>()
  /** Keys whose job is being written. */
  const arriving = new Map<string, Promise<Job>>()
  /** Jobs that a worker has in hand, from before they are written as running until their end is written. */
  const held = new Set<string>()
  const schedules = new Map<string, Schedule>()
  const writes = new Map<string, Promise<void>>()
  const closing = new AbortController()
  const workers: { queue: string; wake: AbortController; done: Promise<void>; stop: AbortController }[] = []

  const fileOf = (job: StoredJob): string => `job-${job.id}.json`
  const keyOf = (queue: string, key: string): string => `${queue} ${key}`

  /** Replaces a file whole: what is read later is the old text or the new, never half of one. */
  const replaceFile = async (name: string, text: string): Promise<void> => {
    const temporary = join(directory, `${name}.new`)
    try {
      await writeFile(temporary, text)
      await rename(temporary, join(directory, name))
      await syncDirectory(directory)
    } catch (error) {
      // Half a file would take room on a disk that has none.
      await rm(temporary, { force: true }).catch(() => undefined)
      throw new PipelineError('JOB_QUEUE_UNAVAILABLE', `${name} could not be written.`, { cause: error })
    }
  }

  /** Writes a file after those before it: the last state wins. @throws JOB_QUEUE_UNAVAILABLE */
  const save = (name: string, value: unknown): Promise<void> => {
    const text = JSON.stringify(value)
    const write = (writes.get(name) ?? Promise.resolve()).catch(() => undefined).then(() => replaceFile(name, text))
    writes.set(name, write)
    return write
  }

  /** Makes a job what it is now, first on disk, then in memory. @throws JOB_QUEUE_UNAVAILABLE: it is as it was. */
  const put = async (job: StoredJob): Promise<void> => {
    await save(fileOf(job), job)
    jobs.set(job.id, job)
  }

  const reportUnwritten = (error: PipelineError): void =>
    report(`${error.message} It is tried again. (${String(error.cause)})`)

  /** Puts a job, however long the disk is full. @returns false when the signal ended that first. */
  const putInTime = async (job: StoredJob, signal: AbortSignal): Promise<boolean> => {
    for (;;) {
      try {
        await put(job)
        return true
      } catch (error) {
        if (!isPipelineError(error, 'JOB_QUEUE_UNAVAILABLE')) throw error
        reportUnwritten(error)
        if (signal.aborted) return false
        await wait(idleMs, signal)
      }
    }
  }

  const forget = async (job: StoredJob): Promise<void> => {
    jobs.delete(job.id)
    if (job.key !== null && byKey.get(keyOf(job.queue, job.key)) === job.id) byKey.delete(keyOf(job.queue, job.key))
    writes.delete(fileOf(job))
    await rm(join(directory, fileOf(job)), { force: true }).catch((error: unknown) =>
      report(`${fileOf(job)} could not be removed: ${String(error)}`),
    )
  }

  await mkdir(directory, { recursive: true, mode: 0o700 })
  for (const name of await readdir(directory)) {
    if (name.endsWith('.new')) {
      await rm(join(directory, name), { force: true })
      continue
    }
    if (!name.endsWith('.json')) continue
    try {
      const value = JSON.parse(await readFile(join(directory, name), 'utf8')) as unknown
      if (name === 'schedules.json') {
        for (const schedule of value as Schedule[]) schedules.set(`${schedule.queue} ${schedule.id}`, schedule)
        continue
      }
      const job = value as StoredJob
      if (typeof job.id !== 'string' || typeof job.queue !== 'string' || fileOf(job) !== name)
        throw new Error('is not a job')
      jobs.set(job.id, job)
    } catch (error) {
      await rename(join(directory, name), join(directory, `${name}.unreadable`))
      report(`${name} could not be read and is set aside: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  // A failed job keeps its file beside that of its successor: the key is the younger one's.
  for (const job of [...jobs.values()].sort((a, b) => a.createdAt - b.createdAt))
    if (job.key !== null) byKey.set(keyOf(job.queue, job.key), job.id)
  for (const job of [...jobs.values()].filter(({ state }) => state === 'running')) {
    const after: StoredJob =
      job.attempt >= job.attempts ? fail(job, diedRunning, now()) : { ...job, state: 'waiting', error: diedRunning }
    jobs.set(job.id, after)
    await put(after).catch(reportUnwritten)
  }

  const show = (job: StoredJob): Job => ({
    id: job.id,
    queue: job.queue,
    payload: job.payload,
    state: job.state,
    attempt: job.attempt,
    progress: job.progress,
    result: job.result,
    error: job.error,
    createdAt: job.createdAt,
    finishedAt: job.finishedAt,
  })

  const wake = (queue: string): void => {
    for (const worker of workers) if (worker.queue === queue) worker.wake.abort()
  }

  /** Forgets finished jobs of a queue that are old or too many. */
  const prune = async (queue: string): Promise<void> => {
    const finished = [...jobs.values()]
      .filter((job) => job.queue === queue && job.finishedAt !== null)
      .sort((a, b) => b.finishedAt! - a.finishedAt!)
    const gone = finished.filter((job, index) => index >= keepFinished || job.finishedAt! < now() - keepFinishedMs)
    for (const job of gone) await forget(job)
  }

  /** A new job, known once it is written. @throws JOB_QUEUE_UNAVAILABLE: there is no such job. */
  const create = async (queue: string, payload: unknown, options: EnqueueOptions): Promise<Job> => {
    const job: StoredJob = {
      id: randomUUID(),
      queue,
      key: options.key ?? null,
      payload: asJson(payload),
      state: 'waiting',
      attempt: 0,
      attempts: options.attempts ?? 5,
      backoffMs: options.backoffMs ?? 1_000,
      runAt: options.runAt ?? now(),
      progress: null,
      result: null,
      error: null,
      createdAt: now(),
      finishedAt: null,
    }
    try {
      await put(job)
    } catch (error) {
      // Only its directory may have failed to sync: a job that was refused must not run after a restart.
      await forget(job)
      throw error
    }
    if (job.key !== null) byKey.set(keyOf(queue, job.key), job.id)
    wake(queue)
    return show(job)
  }

  const enqueue = (queue: string, payload: unknown, options: EnqueueOptions = {}): Promise<Job> => {
    if (closing.signal.aborted) return Promise.reject(new PipelineError('NOT_READY', 'The job queue is closed.'))
    if (options.key === undefined) return create(queue, payload, options)
    const key = keyOf(queue, options.key)
    const known = jobs.get(byKey.get(key) ?? '')
    if (known && known.state !== 'failed') return Promise.resolve(show(known))
    const first = arriving.get(key)
    if (first) return first
    const job = create(queue, payload, options).finally(() => arriving.delete(key))
    arriving.set(key, job)
    return job
  }

  /** Enqueues what is due; a repetition whose last run is not over is not doubled. */
  const runSchedules = async (queue: string): Promise<void> => {
    for (const schedule of schedules.values()) {
      if (schedule.queue !== queue || schedule.nextAt > now()) continue
      const key = `schedule:${schedule.id}`
      const last = jobs.get(byKey.get(keyOf(queue, key)) ?? '')
      const { nextAt } = schedule
      schedule.nextAt = now() + schedule.everyMs
      if (last?.state === 'waiting' || last?.state === 'running') continue
      try {
        await create(queue, schedule.payload, { key, attempts: 1 })
      } catch (error) {
        schedule.nextAt = nextAt
        throw error
      }
      // The repetition has taken the place of its predecessor.
      if (last) await forget(last)
    }
  }

  const runJob = async (waiting: StoredJob, handler: JobHandler, signal: AbortSignal): Promise<void> => {
    const begun: StoredJob = { ...waiting, state: 'running', attempt: waiting.attempt + 1 }
    if (!(await putInTime(begun, signal))) return
    const reached = (): StoredJob => ({ ...begun, progress: jobs.get(begun.id)!.progress })
    let over = false
    let unwritten: unknown
    let ended: StoredJob
    try {
      const result = await handler(show(begun), {
        signal,
        async progress(progress) {
          // What a handler left behind and did not wait for is not part of its run.
          if (over) return
          await put({ ...begun, progress: asJson(progress) as JobProgress }).catch((error: unknown) => {
            if (isPipelineError(error, 'JOB_QUEUE_UNAVAILABLE')) unwritten = error
            throw error
          })
        },
      })
      ended = { ...reached(), state: 'done', result: asJson(result), error: null, finishedAt: now() }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      const again: StoredJob = { ...reached(), state: 'waiting', error: message }
      const backoffMs = backoffAfter(begun.attempt, begun.backoffMs)
      // Stopped by us, or by our disk, not by a fault of its own: the attempt does not count.
      if (signal.aborted) ended = { ...again, attempt: waiting.attempt }
      else if (error === unwritten) ended = { ...again, attempt: waiting.attempt, runAt: now() + backoffMs }
      else if (begun.attempt >= begun.attempts || (error instanceof PipelineError && !error.retryable))
        ended = fail(reached(), message, now())
      else ended = { ...again, runAt: now() + backoffMs }
    }
    over = true
    if (await putInTime(ended, signal)) return prune(begun.queue)
    // Closed before there was room: it runs again, here as after a restart.
    jobs.set(begun.id, { ...reached(), state: 'waiting', attempt: waiting.attempt })
  }

  const work = async <Payload>(
    queue: string,
    handler: JobHandler<Payload>,
    { concurrency = 1, alone = false } = {},
  ): Promise<Worker> => {
    const stop = new AbortController()
    const worker = { queue, wake: new AbortController(), done: Promise.resolve(), stop }
    const running = new Set<Promise<void>>()
    const loop = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        await runSchedules(queue).catch((error: unknown) => {
          if (!isPipelineError(error, 'JOB_QUEUE_UNAVAILABLE')) throw error
          reportUnwritten(error)
        })
        const due = [...jobs.values()]
          .filter((job) => job.queue === queue && job.state === 'waiting' && job.runAt <= now() && !held.has(job.id))
          .sort((a, b) => a.runAt - b.runAt || a.createdAt - b.createdAt)
        const isTaken = alone && [...jobs.values()].some((job) => job.queue === queue && held.has(job.id))
        const most = alone ? (isTaken ? 0 : 1) : concurrency - running.size
        for (const job of due.slice(0, most)) {
          held.add(job.id)
          const run: Promise<void> = runJob(job, handler as JobHandler, stop.signal).finally(() => {
            held.delete(job.id)
            running.delete(run)
            worker.wake.abort()
          })
          run.catch((error: unknown) => report(`job ${job.id}: ${String(error)}`))
          running.add(run)
        }
        if (stop.signal.aborted) break
        worker.wake = new AbortController()
        if (due.length > 0 && most > 0 && running.size < concurrency) continue
        await wait(idleMs, worker.wake.signal)
      }
      await Promise.allSettled(running)
    }
    worker.done = loop()
    workers.push(worker)
    return {
      async close() {
        stop.abort()
        worker.wake.abort()
        await worker.done
      },
    }
  }

  return {
    enqueue,
    work,
    status: async (id) => {
      const job = jobs.get(id)
      return job ? show(job) : null
    },
    list: async (queue, limit = 50) =>
      [...jobs.values()]
        .filter((job) => job.queue === queue)
        .reverse()
        .sort((a, b) => b.createdAt - a.createdAt)
        .slice(0, limit)
        .map(show),
    async schedule(queue, id, everyMs, payload) {
      const name = `${queue} ${id}`
      const known = schedules.get(name)
      schedules.set(name, { queue, id, everyMs, payload, nextAt: Math.min(known?.nextAt ?? now(), now() + everyMs) })
      try {
        await save('schedules.json', [...schedules.values()])
      } catch (error) {
        if (known) schedules.set(name, known)
        else schedules.delete(name)
        throw error
      }
      wake(queue)
    },
    async close() {
      closing.abort()
      for (const worker of workers) {
        worker.stop.abort()
        worker.wake.abort()
      }
      await Promise.all(workers.map(({ done }) => done))
      await Promise.allSettled(writes.values())
    },
  }
}
