import { isPipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import { createRecordWriter } from '../write-record.ts'
import type { Delivery, Draft, IngestParts, Refusal } from '../delivery.ts'

/** Makes the events durable; only then is the request answered. */
export async function appendToLog(
  drafts: readonly Draft[],
  delivery: Delivery,
  parts: IngestParts,
): Promise<Refusal | null> {
  const deployment = delivery.owner!.deployment.id
  const write = createRecordWriter(delivery)
  const records = drafts.map((draft) => ({
    key: deployment + draft.event!.id,
    value: write(draft),
  }))
  try {
    await parts.log.append(topics.events, records)
    return null
  } catch (error) {
    if (!isPipelineError(error)) throw error
    const full = error.code === 'LOG_FULL'
    return {
      code: full ? 'LOG_FULL' : 'LOG_UNAVAILABLE',
      reason: 'log_unavailable',
      where: '',
      retryAfterSeconds: full ? 30 : 5,
    }
  }
}
