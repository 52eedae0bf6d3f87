import type { Delivery, IngestParts, Refusal } from '../delivery.ts'

/** Finds the deployment that the key belongs to, and whether it is measured at all. */
export function authenticateKey(delivery: Delivery, parts: IngestParts): Refusal | null {
  const owner = parts.lookupKey(delivery.beacon?.key ?? '')
  if (!owner) return { code: 'UNAUTHORIZED', reason: 'unknown_key', where: 'key' }
  delivery.owner = owner
  if (owner.kind === 'browser' && delivery.body.length > parts.maxBodyBytes) {
    return { code: 'BODY_TOO_LARGE', reason: 'body_too_large', where: `${delivery.body.length} bytes` }
  }
  const reason = owner.retired ? 'deployment_retired' : owner.deployment.mode === 'off' ? 'mode_off' : null
  if (reason) for (const draft of delivery.drafts) draft.dropped = reason
  delivery.test = owner.deployment.environment === 'test'
  return null
}
