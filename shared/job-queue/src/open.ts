import { PipelineError } from '@footfall/contracts/errors'
import type { JobQueue } from './job-queue.ts'

/** Opens the queue that a URL names: `file:PATH`. */
export async function openJobQueue(url: string): Promise<JobQueue> {
  if (url.startsWith('file:')) {
    const { openEmbeddedJobQueue } = await import('./embedded.ts')
    return openEmbeddedJobQueue({ directory: url.slice('file:'.length) })
  }
  throw new PipelineError(
    'INVALID_REQUEST',
    `JOB_QUEUE_URL starts with "${url.split(':')[0]}:"; there is file: for now.`,
  )
}
