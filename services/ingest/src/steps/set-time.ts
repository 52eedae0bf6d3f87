import { maxLatenessMs } from '@footfall/contracts/event'
import type { Delivery, Draft, IngestParts } from '../delivery.ts'

/** A sender's clock within this of ours is believed; network and queueing explain the difference. */
const clockToleranceMs = 60_000
/** 2000-01-01, as the contract has it for what is sent. */
const earliest = 946_684_800_000

/**
 * When the event happened by our clock: `received - (sent - at)` where the sender's clock is off by more than a
 * minute. An event cannot happen after it arrives. Source: Segment's rule, Sentry's threshold (smaller here).
 */
export function setTime(draft: Draft, delivery: Delivery, parts: IngestParts): null {
  const { at } = draft.event!
  const skew = delivery.receivedAt - delivery.beacon!.sent_at
  draft.clockCorrected = Math.abs(skew) > clockToleranceMs
  draft.at = draft.clockCorrected ? at + skew : at
  if (draft.at < earliest) {
    // The two clocks of one sender contradict each other by decades.
    draft.clockCorrected = true
    draft.at = earliest
  }
  if (draft.at > delivery.receivedAt) {
    draft.clockCorrected ||= draft.at > delivery.receivedAt + clockToleranceMs
    draft.at = delivery.receivedAt
  }
  draft.late = delivery.receivedAt - draft.at > maxLatenessMs
  const local = parts.localTime(delivery.owner!.timeZoneAt(draft.at), draft.at)
  draft.day = local.day
  draft.hour = local.hour
  return null
}
