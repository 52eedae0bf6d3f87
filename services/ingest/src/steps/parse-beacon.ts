import { isUtf8 } from 'node:buffer'
import { maxEventsPerRequest, readBeacon } from '@footfall/contracts/beacon'
import secureJson from 'secure-json-parse'
import type { Delivery, Draft, Refusal } from '../delivery.ts'
import { placeOfIssue } from '../place-of-issue.ts'

const newDraft = (raw: unknown, index: number): Draft => ({
  index,
  raw,
  event: null,
  at: 0,
  clockCorrected: false,
  late: false,
  day: '',
  hour: 0,
  host: '',
  path: '',
  referrer: '',
  visitor: '0',
  dropped: null,
  where: '',
})

/** Reads the request around the events. Keys such as `__proto__` refuse it: no sender of ours makes them. */
export function parseBeacon(delivery: Delivery): Refusal | null {
  let body: unknown
  try {
    if (!isUtf8(delivery.body)) return { code: 'MALFORMED_JSON', reason: 'malformed', where: 'the body is not UTF-8' }
    body = secureJson.parse(delivery.body.toString('utf8'))
  } catch {
    return { code: 'MALFORMED_JSON', reason: 'malformed', where: 'the body' }
  }
  const parsed = readBeacon(body)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    const where = placeOfIssue('', issue)
    const keyMissing = issue?.path[0] === 'key'
    return keyMissing
      ? { code: 'UNAUTHORIZED', reason: 'unknown_key', where }
      : { code: 'INVALID_REQUEST', reason: 'malformed', where }
  }
  if (parsed.data.events.length > maxEventsPerRequest) {
    // Whole: a receipt an event would answer a few compressed bytes with megabytes.
    return { code: 'INVALID_REQUEST', reason: 'too_many_events', where: `events: more than ${maxEventsPerRequest}` }
  }
  delivery.beacon = parsed.data
  delivery.drafts = parsed.data.events.map(newDraft)
  return null
}
