import { hash } from 'node:crypto'
import type { Delivery, Draft, IngestParts } from '../delivery.ts'

/**
 * A keyed hash of the sender that means nothing beyond its deployment and local day: the salt is random, of that
 * deployment and day, and gone at the end of the next. Without a salt there is no visitor.
 */
export function setVisitor(draft: Draft, delivery: Delivery, parts: IngestParts): null {
  // A backend's address says nothing of the people it speaks for: they would be one visitor.
  if (delivery.owner!.kind === 'server') return null
  // A request's events nearly always share a day: one hash serves them all.
  if (delivery.visitor?.day !== draft.day) {
    const salt = parts.salts.get(delivery.owner!.deployment.id, draft.day)
    delivery.visitor = { day: draft.day, id: salt === null ? '0' : hashSender(salt, delivery) }
  }
  draft.visitor = delivery.visitor.id
  return null
}

/** 64 bits as decimal text. */
function hashSender(salt: string, { address, headers }: Delivery): string {
  const digest = hash('sha256', `${salt}\n${address}\n${headers['user-agent'] ?? ''}`, 'hex')
  return BigInt(`0x${digest.slice(0, 16)}`).toString()
}
