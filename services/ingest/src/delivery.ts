import type { IncomingHttpHeaders } from 'node:http'
import type { Beacon, BeaconEvent, Receipt } from '@footfall/contracts/beacon'
import type { DropReason } from '@footfall/contracts/drop-reason'
import type { ErrorCode } from '@footfall/contracts/errors'
import type { Deployment } from '@footfall/contracts/registry'
import type { EventLog } from '@footfall/event-log'
import type { AgentClasses } from '@footfall/enrichment/agent-classes'
import type { cleanPage } from '@footfall/enrichment/url-hygiene'
import type { RateLimiter } from './rate-limiter.ts'
import type { Refusals } from './refusals.ts'
import type { Salts } from './salts.ts'

/** What the registry answers for a key. */
export interface KeyOwner {
  readonly kind: 'browser' | 'server'
  readonly deployment: Deployment
  /** Its time zone at an instant: a changed one holds from the next local midnight. */
  readonly timeZoneAt: (at: number) => string
  readonly retired: boolean
}

/** What the steps need; made once in the service that runs them. */
export interface IngestParts {
  readonly log: EventLog
  readonly lookupKey: (key: string) => KeyOwner | null
  readonly salts: Salts
  readonly limiter: RateLimiter
  readonly refusals: Refusals
  readonly classify: (userAgent: string) => AgentClasses
  readonly cleanPage: typeof cleanPage
  readonly localTime: (timeZone: string, at: number) => { day: string; hour: number }
  readonly country: (delivery: Delivery) => string
  readonly maxBodyBytes: number
  readonly now: () => number
}

/** One event on its way to the log; the steps fill it in. */
export interface Draft {
  readonly index: number
  readonly raw: unknown
  event: BeaconEvent | null
  at: number
  clockCorrected: boolean
  late: boolean
  day: string
  hour: number
  host: string
  path: string
  referrer: string
  visitor: string
  dropped: DropReason | null
  /** For the receipt and the live view: which field is at fault, never its content. */
  where: string
}

/** One request: who sent it, what is known of the sender (in memory only), and its events. */
export interface Delivery {
  readonly body: Buffer
  readonly headers: IncomingHttpHeaders
  /** Full address, for the rate limit, the country and the daily hash; never written anywhere. */
  readonly address: string
  readonly viaTrustedProxy: boolean
  readonly receivedAt: number
  beacon: (Omit<Beacon, 'events'> & { events: unknown[] }) | null
  owner: KeyOwner | null
  /** The origin to allow in CORS, once it is checked. */
  origin: string | null
  test: boolean
  agent: AgentClasses | null
  country: string
  /** The sender's hash for the day it was last asked for; '0': none. */
  visitor: { readonly day: string; readonly id: string } | null
  drafts: Draft[]
}

/** A whole request that is refused: nothing of it is kept. */
export interface Refusal {
  readonly code: ErrorCode
  readonly reason: DropReason
  readonly where: string
  readonly retryAfterSeconds?: number
}

/** What a request came to. */
export interface Outcome {
  readonly accepted: number
  readonly receipts: Receipt[]
  readonly refusal: Refusal | null
}

export type RequestStep = (delivery: Delivery, parts: IngestParts) => Refusal | null
export type EventStep = (draft: Draft, delivery: Delivery, parts: IngestParts) => DropReason | null
