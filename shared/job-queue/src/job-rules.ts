import type { JobProgress } from './job-queue.ts'

/** How long, and how many of each queue, finished jobs are kept. */
export const keepFinishedMs = 7 * 24 * 3600_000
export const keepFinished = 1_000
/** A queue with nothing to do looks again this often, for schedules and times that come. */
export const idleMs = 500
/** The error of a job whose worker went without a word. */
export const diedRunning = 'the process ended while it ran'

const longestBackoffMs = 5 * 60_000

/** The wait after run `attempt` has failed. */
export const backoffAfter = (attempt: number, backoffMs: number): number =>
  Math.min(longestBackoffMs, backoffMs * 2 ** (attempt - 1))

/** A value as its storage gives it back. @throws TypeError when it is no JSON. */
export const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null))

/** A job that is given up keeps no checkpoint: what its handler held for the next attempt goes with the attempts. */
export const withoutCheckpoint = (progress: JobProgress | null): JobProgress | null =>
  progress && { ...progress, checkpoint: undefined }

/** Resolves after a time, or at once when the signal aborts. */
export const waitFor = (ms: number, signal: AbortSignal): Promise<void> =>
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
