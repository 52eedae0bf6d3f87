import { dropReasons } from '@footfall/contracts/drop-reason'
import type { Receipt } from '@footfall/contracts/beacon'
import type { Delivery, Draft, EventStep, IngestParts, Outcome, Refusal, RequestStep } from './delivery.ts'
import { appendToLog } from './steps/append-to-log.ts'
import { authenticateKey } from './steps/authenticate-key.ts'
import { checkOrigin } from './steps/check-origin.ts'
import { classifyAgent } from './steps/classify-agent.ts'
import { cleanUrl } from './steps/clean-url.ts'
import { dropOptedOut } from './steps/drop-opted-out.ts'
import { limitRate } from './steps/limit-rate.ts'
import { parseBeacon } from './steps/parse-beacon.ts'
import { setCountry } from './steps/set-country.ts'
import { setTime } from './steps/set-time.ts'
import { setVisitor } from './steps/set-visitor.ts'
import { validate } from './steps/validate.ts'

/** From bytes to a known sender: each looks at the request and may refuse it whole. */
export const requestSteps: readonly RequestStep[] = [
  parseBeacon,
  authenticateKey,
  checkOrigin,
  limitRate,
  classifyAgent,
  setCountry,
]

/** From an event as sent to a record: each looks at one event and may drop it. */
export const eventSteps: readonly EventStep[] = [dropOptedOut, validate, setTime, cleanUrl, setVisitor]

/** Runs the steps by their names, counting refusals; stops at the first that refuses. */
export async function runPipeline(delivery: Delivery, parts: IngestParts): Promise<Outcome> {
  for (const step of requestSteps) {
    const refusal = step(delivery, parts)
    if (refusal) return refuse(delivery, parts, refusal)
  }
  const kept: Draft[] = []
  for (const draft of delivery.drafts) {
    for (const step of eventSteps) {
      draft.dropped ??= step(draft, delivery, parts)
      if (draft.dropped) break
    }
    if (!draft.dropped) kept.push(draft)
  }
  if (kept.length > 0) {
    const refusal = await appendToLog(kept, delivery, parts)
    if (refusal) return refuse(delivery, parts, refusal)
  }
  return {
    accepted: kept.length,
    receipts: kept.length < delivery.drafts.length ? writeReceipts(delivery, parts) : [],
    refusal: null,
  }
}

function refuse(delivery: Delivery, parts: IngestParts, refusal: Refusal): Outcome {
  const events = Math.max(1, delivery.drafts.length)
  parts.refusals.count(delivery.owner?.deployment.id ?? '', refusal.reason, events, refusal.where)
  return { accepted: 0, receipts: [], refusal }
}

/** Tells the sender, event by event, what was not accepted and why. */
function writeReceipts(delivery: Delivery, parts: IngestParts): Receipt[] {
  const deployment = delivery.owner?.deployment.id ?? ''
  const receipts: Receipt[] = []
  for (const { index, raw, dropped, where } of delivery.drafts) {
    if (!dropped) continue
    parts.refusals.count(deployment, dropped, 1, where)
    const id =
      typeof raw === 'object' && raw !== null && 'id' in raw && typeof raw.id === 'string' ? raw.id.slice(0, 64) : null
    const { result, message } = dropReasons[dropped]
    receipts.push({ index, id, result, code: dropped, message: where ? `${message} (${where})` : message })
  }
  return receipts
}
