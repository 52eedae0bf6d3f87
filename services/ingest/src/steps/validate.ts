import { maxEventBytes, readBeaconEvent, standardNames } from '@footfall/contracts/beacon'
import type { DropReason } from '@footfall/contracts/drop-reason'
import type { Delivery, Draft, IngestParts } from '../delivery.ts'
import { placeOfIssue } from '../place-of-issue.ts'

const standard = new Set<string>(standardNames)

/** Bytes of the event as JSON; Infinity when it is nested too deeply to be written again. */
function sizeOf(value: unknown): number {
  try {
    return Buffer.byteLength(JSON.stringify(value))
  } catch {
    return Infinity
  }
}

/** Holds the event to the contract; the receipt names the field at fault. */
export function validate(draft: Draft, delivery: Delivery, parts: IngestParts): DropReason | null {
  // A body below the limit cannot hold an event above it.
  if (delivery.body.length > maxEventBytes && sizeOf(draft.raw) > maxEventBytes) return 'event_too_large'
  const parsed = readBeaconEvent(draft.raw)
  if (!parsed.success) {
    draft.where = placeOfIssue(`events[${draft.index}]`, parsed.error.issues[0])
    return 'invalid_event'
  }
  const { deployment } = delivery.owner!
  const { name } = parsed.data
  if (!standard.has(name)) {
    if (deployment.events) {
      if (!deployment.events.includes(name)) return 'undeclared_name'
    } else if (!parts.limiter.takeName(deployment.id, name)) {
      return 'too_many_names'
    }
  }
  draft.event = parsed.data
  return null
}
