import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PipelineError } from '@footfall/contracts/errors'
import type { EnqueueOptions, Job, JobHandler, JobQueue, JobState, Worker } from './job-queue.ts'

export interface EmbeddedJobQueueOptions {
  readonly directory: string
  /** Unix milliseconds. */
  readonly now?: () => number
  /** Resolves after a time, or at once when the signal aborts. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>
  /** A file that cannot be read is set aside and reported. */
  readonly onProblem?: (problem: string) => void
}

interface StoredJob {
  id: string
  queue: string
  key: string | null
  payload: unknown
  state: JobState
  attempt: number
  attempts: number
  backoffMs: number
  runAt: number
  progress: Job['progress']
  result: unknown
  error: string | null
  createdAt: number
  finishedAt: number | null
}

interface Schedule {
  queue: string
  id: string
  everyMs: number
  payload: unknown
  nextAt: number
}

const keepFinishedMs = 7 * 24 * 3600_000
const keepFinished = 1_000
const longestBackoffMs = 5 * 60_000
/** A queue with nothing to do looks again this often, for schedules and times that come. */
const idleMs = 500

const waitFor = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const stop = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      resolve()
    }
    const timer = setTimeout(stop, ms)
    signal.addEventListener('abort', stop)
  })

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Replaces a file whole: what is read later is the old text or the new, never half of one. */
async function writeDurably(directory: string, name: string, value: unknown): Promise<void> {
  const temporary = join(directory, `${name}.new`)
  const handle = await open(temporary, 'w', 0o600)
  try {
    await handle.writeFile(JSON.stringify(value))
    await handle.datasync()
  } finally {
    await handle.close()
  }
  await rename(temporary, join(directory, name))
  await syncDirectory(directory)
}

/**
 * A spool of small files, one a job: durable when a call resolves, and whole after a kill at any line. A job that was
 * running when the process died waits again; its run counts as an attempt. One process owns the directory.
 */
export async function openEmbeddedJobQueue(options: EmbeddedJobQueueOptions): Promise<JobQueue> {
  const { directory } = options
  const now = options.now ?? Date.now
  const wait = options.wait ?? waitFor
  const report = options.onProblem ?? (() => undefined)
  const jobs = new Map<string, StoredJob>()
  const byKey = new Map<string, string>()
  const schedules = new Map<string, Schedule>()
  const writes = new Map<string, Promise<void>>()
  const closing = new AbortController()
  const workers: { queue: string; wake: AbortController; done: Promise<void>; stop: AbortController }[] = []

  const fileOf = (job: StoredJob): string => `job-${job.id}.json`
  const keyOf = (queue: string, key: string): string => `${queue} ${key}`

  /** Writes a file after those before it: the last state wins. */
  const save = (name: string, value: unknown): Promise<void> => {
    const text = structuredClone(value)
    const write = (writes.get(name) ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => writeDurably(directory, name, text))
    writes.set(name, write)
    return write
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
      if (job.state === 'running') {
        const spent = job.attempt >= job.attempts
        job.state = spent ? 'failed' : 'waiting'
        job.error = 'the process ended while it ran'
        if (spent) job.finishedAt = now()
        await save(name, job)
      }
      jobs.set(job.id, job)
      if (job.key !== null) byKey.set(keyOf(job.queue, job.key), job.id)
    } catch (error) {
      await rename(join(directory, name), join(directory, `${name}.unreadable`))
      report(`${name} could not be read and is set aside: ${error instanceof Error ? error.message : String(error)}`)
    }
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
    for (const job of gone) {
      jobs.delete(job.id)
      if (job.key !== null) byKey.delete(keyOf(job.queue, job.key))
      writes.delete(fileOf(job))
      await rm(join(directory, fileOf(job)), { force: true })
    }
  }

  const enqueue = async (queue: string, payload: unknown, options: EnqueueOptions = {}): Promise<Job> => {
    if (closing.signal.aborted) throw new PipelineError('NOT_READY', 'The job queue is closed.')
    const key = options.key ?? null
    const known = key === null ? undefined : jobs.get(byKey.get(keyOf(queue, key)) ?? '')
    if (known && known.state !== 'failed') {
      // The first caller's write may still be under way: what we return is durable.
      await writes.get(fileOf(known))
      return show(known)
    }
    const job: StoredJob = {
      id: randomUUID(),
      queue,
      key,
      payload,
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
    jobs.set(job.id, job)
    if (key !== null) byKey.set(keyOf(queue, key), job.id)
    await save(fileOf(job), job)
    wake(queue)
    return show(job)
  }

  /** Enqueues what is due; a repetition whose last run is not over is not doubled. */
  const runSchedules = async (queue: string): Promise<void> => {
    for (const schedule of schedules.values()) {
      if (schedule.queue !== queue || schedule.nextAt > now()) continue
      const key = `schedule:${schedule.id}`
      const last = jobs.get(byKey.get(keyOf(queue, key)) ?? '')
      schedule.nextAt = now() + schedule.everyMs
      if (last && (last.state === 'waiting' || last.state === 'running')) continue
      if (last) {
        // The repetition takes the place of its predecessor.
        jobs.delete(last.id)
        byKey.delete(keyOf(queue, key))
        await rm(join(directory, fileOf(last)), { force: true })
      }
      await enqueue(queue, schedule.payload, { key, attempts: 1 })
    }
  }

  const runJob = async (job: StoredJob, handler: JobHandler, signal: AbortSignal): Promise<void> => {
    job.state = 'running'
    job.attempt++
    await save(fileOf(job), job)
    try {
      job.result =
        (await handler(show(job), {
          signal,
          async progress(progress) {
            job.progress = progress
            await save(fileOf(job), job)
          },
        })) ?? null
      job.state = 'done'
      job.error = null
      job.finishedAt = now()
    } catch (error) {
      job.error = error instanceof Error ? error.message : String(error)
      if (signal.aborted) {
        // Stopped by us, not by a fault: the attempt does not count.
        job.state = 'waiting'
        job.attempt--
      } else if (job.attempt >= job.attempts || (error instanceof PipelineError && !error.retryable)) {
        job.state = 'failed'
        job.finishedAt = now()
      } else {
        job.state = 'waiting'
        job.runAt = now() + Math.min(longestBackoffMs, job.backoffMs * 2 ** (job.attempt - 1))
      }
    }
    await save(fileOf(job), job)
    await prune(job.queue)
  }

  const work = async <Payload>(
    queue: string,
    handler: JobHandler<Payload>,
    { concurrency = 1 } = {},
  ): Promise<Worker> => {
    const stop = new AbortController()
    const worker = { queue, wake: new AbortController(), done: Promise.resolve(), stop }
    const running = new Set<Promise<void>>()
    const loop = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        await runSchedules(queue)
        const due = [...jobs.values()]
          .filter((job) => job.queue === queue && job.state === 'waiting' && job.runAt <= now())
          .sort((a, b) => a.runAt - b.runAt || a.createdAt - b.createdAt)
        for (const job of due.slice(0, concurrency - running.size)) {
          const run: Promise<void> = runJob(job, handler as JobHandler, stop.signal).finally(() => {
            running.delete(run)
            worker.wake.abort()
          })
          run.catch((error: unknown) => report(`job ${job.id} could not be written: ${String(error)}`))
          running.add(run)
        }
        if (stop.signal.aborted) break
        worker.wake = new AbortController()
        if (due.length > 0 && running.size < concurrency) continue
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
        .sort((a, b) => b.createdAt - a.createdAt)
        .slice(0, limit)
        .map(show),
    async schedule(queue, id, everyMs, payload) {
      const name = `${queue} ${id}`
      const known = schedules.get(name)
      schedules.set(name, { queue, id, everyMs, payload, nextAt: Math.min(known?.nextAt ?? now(), now() + everyMs) })
      await save('schedules.json', [...schedules.values()])
      wake(queue)
    },
    async close() {
      closing.abort()
      for (const { stop } of workers) stop.abort()
      await Promise.all(workers.map(({ done }) => done))
      await Promise.allSettled(writes.values())
    },
  }
}
