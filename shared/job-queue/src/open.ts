import { PipelineError } from '@footfall/contracts/errors'
import type { JobQueue } from './job-queue.ts'

/** Opens the queue that a URL names: `file:PATH`, `redis://host:6379`, or `rediss:` for TLS. */
export async function openJobQueue(
  url: string,
  options: { readonly onProblem?: (problem: string) => void } = {},
): Promise<JobQueue> {
  const scheme = url.split(':')[0]!
  switch (scheme) {
    case 'file': {
      const { openEmbeddedJobQueue } = await import('./embedded.ts')
      return openEmbeddedJobQueue({ directory: url.slice('file:'.length), ...options })
    }
    case 'redis':
    case 'rediss': {
      const { openBullJobQueue } = await import('./bullmq.ts')
      return openBullJobQueue({ url, ...options })
    }
    default:
      throw new PipelineError('INVALID_REQUEST', `JOB_QUEUE_URL starts with "${scheme}:"; there are file: and redis:.`)
  }
}
