/**
 * JobQueue: work that outlives a request and a process.
 *
 * Guarantees that every adapter owes:
 * - a job that `enqueue` returned is durable; it is run at least once until it succeeds or its attempts are used up;
 * - the same `key` enqueued again while that job waits, runs or is kept as finished returns the same job;
 * - what cannot be written throws JOB_QUEUE_UNAVAILABLE (retryable) and has not happened: no job is queued, no progress
 *   made. A worker tries again by itself, and a run that ends so does not use up an attempt;
 * - a job that ends as failed keeps no checkpoint: what a handler holds there (the salts of an import) goes with it;
 * - a worker that dies gives its job back (embedded: at the next start; bullmq: when its lock is lost); the run counts;
 * - handlers are idempotent: the queue never promises "once".
 *
 * Where the engines differ, in what nobody above may count on:
 * - durable is: synced to the disk (embedded); as `appendfsync` of Redis has it, by default within a second (bullmq);
 * - when an answer is lost on the way (bullmq), what threw JOB_QUEUE_UNAVAILABLE may have happened after all: asked for
 *   again with the same key it is the same job;
 * - after a start a schedule may run at once (embedded), or waits for its time (bullmq);
 * - 1,000 finished jobs of a queue are kept for 7 days (embedded), or 1,000 done and 1,000 failed ones (bullmq).
 */
export type JobState = 'waiting' | 'running' | 'done' | 'failed'

export interface Job<Payload = unknown> {
  readonly id: string
  readonly queue: string
  readonly payload: Payload
  readonly state: JobState
  /** 1 at the first run. */
  readonly attempt: number
  /** What the handler last reported, kept across restarts. */
  readonly progress: JobProgress | null
  readonly result: unknown
  /** What went wrong at the last attempt. */
  readonly error: string | null
  /** Unix milliseconds. */
  readonly createdAt: number
  readonly finishedAt: number | null
}

export interface JobProgress {
  readonly done: number
  readonly total: number | null
  readonly note?: string
  /** Where the next attempt goes on; small JSON of the handler's own. Gone once the job has failed. */
  readonly checkpoint?: unknown
}

export interface EnqueueOptions {
  /** Idempotent key, at most 200 characters. */
  readonly key?: string
  /** Runs before the job is given up; default 5. */
  readonly attempts?: number
  /** Wait before attempt n is `backoffMs * 2^(n-1)`, at most 5 minutes; default 1,000. */
  readonly backoffMs?: number
  /** Not before this time (Unix milliseconds). */
  readonly runAt?: number
}

export interface JobContext {
  /** Durable when it resolves. @throws JOB_QUEUE_UNAVAILABLE: pass it on, and the job runs again after its backoff. */
  progress(progress: JobProgress): Promise<void>
  /** Aborted when the queue closes: stop soon, the job runs again later. */
  readonly signal: AbortSignal
}

export type JobHandler<Payload = unknown> = (job: Job<Payload>, context: JobContext) => Promise<unknown>

export interface Worker {
  /** Waits for the running job to stop. */
  close(): Promise<void>
}

export interface JobQueue {
  /** @throws JOB_QUEUE_UNAVAILABLE */
  enqueue(queue: string, payload: unknown, options?: EnqueueOptions): Promise<Job>
  /**
   * Runs the jobs of one queue, `concurrency` at a time (default 1).
   * @param options.alone no two jobs of this queue at once, whoever works on it: all its workers have to say so.
   */
  work<Payload>(
    queue: string,
    handler: JobHandler<Payload>,
    options?: { concurrency?: number; alone?: boolean },
  ): Promise<Worker>
  status(id: string): Promise<Job | null>
  /** Newest first. */
  list(queue: string, limit?: number): Promise<Job[]>
  /** Enqueues `payload` every `everyMs`; a repetition that is still waiting is not doubled. The same `id` replaces. */
  schedule(queue: string, id: string, everyMs: number, payload: unknown): Promise<void>
  close(): Promise<void>
}
