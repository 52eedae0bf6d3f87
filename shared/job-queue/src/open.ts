import { PipelineError } from '@footfall/contracts/errors'
import type { RedisExtras } from './bullmq.ts'
import type { JobQueue } from './job-queue.ts'

export interface OpenOptions {
  readonly onProblem?: (problem: string) => void
}

/** Opens the queue on a Redis: `redis://host:6379`, or `rediss:` for TLS. @throws JOB_QUEUE_UNAVAILABLE */
export async function openSharedJobQueue(url: string, options: OpenOptions = {}): Promise<JobQueue & RedisExtras> {
  const { openBullJobQueue } = await import('./bullmq.ts')
  return openBullJobQueue({ url, ...options })
}

/** Opens the queue that a URL names: `file:PATH`, `redis://host:6379`, or `rediss:` for TLS. */
export async function openJobQueue(url: string, options: OpenOptions = {}): Promise<JobQueue> {
  const scheme = url.split(':')[0]!
  switch (scheme) {
    case 'file': {
      const { openEmbeddedJobQueue } = await import('./embedded.ts')
      return openEmbeddedJobQueue({ directory: url.slice('file:'.length), ...options })
    }
    case 'redis':
    case 'rediss':
      return openSharedJobQueue(url, options)
    default:
      throw new PipelineError('INVALID_REQUEST', `JOB_QUEUE_URL starts with "${scheme}:"; there are file: and redis:.`)
  }
}
