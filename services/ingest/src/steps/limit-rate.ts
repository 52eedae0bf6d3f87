import type { Delivery, IngestParts, Refusal } from '../delivery.ts'

/**
 * Takes a token an event that is not dropped yet from the buckets of the key and of the sender's address. When they run
 * dry in the middle of a request, the rest of its events get a receipt to retry; when nothing is left, it is refused.
 */
export function limitRate(delivery: Delivery, parts: IngestParts): Refusal | null {
  const { owner } = delivery
  const drafts = delivery.drafts.filter(({ dropped }) => dropped === null)
  const wanted = drafts.length
  if (!owner || wanted === 0) return null
  const allowed = parts.limiter.take(owner.deployment.id, owner.kind === 'server' ? null : delivery.address, wanted)
  if (allowed.events === 0) {
    return { code: 'RATE_LIMITED', reason: 'rate_limited', where: '', retryAfterSeconds: allowed.retryAfterSeconds }
  }
  for (let index = allowed.events; index < wanted; index++) drafts[index]!.dropped = 'rate_limited'
  return null
}
