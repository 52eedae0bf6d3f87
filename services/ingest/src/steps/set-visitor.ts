import { hash } from 'node:crypto'
import type { Delivery, Draft, IngestParts } from '../delivery.ts'

/**
 * A keyed hash of the sender that means nothing beyond its deployment and local day: the salt is random, of that
 * deployment and day, and gone at the end of the next. Without a salt there is no visitor.
 */
export function setVisitor(draft: Draft, delivery: Delivery, parts: IngestParts): null {
  const salt = parts.salts.get(delivery.owner!.deployment.id, draft.day)
  if (salt !== null) {
    const digest = hash('sha256', `${salt}\n${delivery.address}\n${delivery.headers['user-agent'] ?? ''}`, 'hex')
    draft.visitor = BigInt(`0x${digest.slice(0, 16)}`).toString()
  }
  return null
}
