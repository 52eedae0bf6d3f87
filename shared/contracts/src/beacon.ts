import * as z from 'zod'
import { compileReader } from './compiled-reader.ts'
import type { DropReason, ReceiptResult } from './drop-reason.ts'

/** At most this many events a request. */
export const maxEventsPerRequest = 100
/** At most this many bytes of JSON an event. */
export const maxEventBytes = 16 * 1024

/** Names with a meaning of their own; every other name is a custom event of the app. */
export const standardNames = [
  'page_view',
  'screen_view',
  'journey_start',
  // A step between start and completion needs a name of its own: under any other it would count as one of them.
  'journey_step',
  'journey_complete',
  'journey_error',
  'journey_save',
  'journey_resume',
  'rating',
  'dataset_used',
  'search',
  'outbound_click',
  'file_download',
  'form_submit',
  'engagement',
  'web_vital',
  'error',
] as const
export type StandardName = (typeof standardNames)[number]

/** UUID of version 4 or 7, as text: other versions can hold an address or a clock of the sender. */
const uuidPattern = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[47][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$/
const namePattern = /^[a-z][a-z0-9_.]{0,63}$/
const idPattern = /^[A-Za-z0-9_-]{1,64}$/
/** Unix milliseconds from 2000-01-01 to 2100-01-01: anything else is a seconds value or a broken clock. */
const unixMs = z.number().int().min(946_684_800_000).max(4_102_444_800_000)

const propValue = z.union([z.string().max(1024), z.number(), z.boolean(), z.null()])
const props = z
  .record(z.string().min(1).max(64), propValue)
  .refine((value) => Object.keys(value).length <= 64, 'at most 64 props')
  .meta({ maxProperties: 64 })

export const journeySchema = z.strictObject({
  /** Random per journey, never per person. */
  id: z.string().regex(idPattern).optional(),
  name: z.string().regex(namePattern),
  step: z.string().min(1).max(64).optional(),
  outcome: z.string().regex(namePattern).optional(),
})

interface NamedEvent {
  readonly name: string
  readonly url?: unknown
  readonly screen?: unknown
  readonly journey?: unknown
  readonly rating?: unknown
  readonly dataset?: unknown
}

/** The field that an event of this name needs and lacks; null when it has everything. */
function missingField(event: NamedEvent): keyof NamedEvent | null {
  const needed =
    event.name === 'page_view'
      ? 'url'
      : event.name === 'screen_view'
        ? 'screen'
        : event.name === 'rating'
          ? 'rating'
          : event.name === 'dataset_used'
            ? 'dataset'
            : event.name.startsWith('journey_')
              ? 'journey'
              : null
  return needed !== null && event[needed] === undefined ? needed : null
}

/** One event of a beacon. Times are Unix milliseconds by the sender's clock. */
export const beaconEventSchema = z
  .strictObject({
    id: z.string().regex(uuidPattern, 'must be a UUID of version 7 (or 4)'),
    name: z.string().regex(namePattern, 'must match ^[a-z][a-z0-9_.]{0,63}$'),
    at: unixMs,
    /** Counts from 0 within a page load. */
    seq: z.number().int().min(0).max(1_000_000).optional(),
    /** 1 at the first try. */
    attempt: z.number().int().min(1).max(1_000).optional(),
    url: z.string().min(1).max(2048).optional(),
    screen: z.string().min(1).max(256).optional(),
    referrer: z.string().max(2048).optional(),
    props: props.optional(),
    value: z.number().optional(),
    journey: journeySchema.optional(),
    rating: z.number().int().min(1).max(5).optional(),
    dataset: z.string().min(1).max(256).optional(),
    app_version: z.string().min(1).max(64).optional(),
  })
  .superRefine((event, context) => {
    const field = missingField(event)
    if (field !== null) context.addIssue({ code: 'custom', path: [field], message: 'is required for this name' })
  })

/** Reads one event of a beacon: `beaconEventSchema`, compiled. */
export const readBeaconEvent = compileReader(beaconEventSchema, (event) => missingField(event) === null)

/** The request around the events, which are read one by one so that one bad event does not refuse the others. */
export const beaconSchema = z.strictObject({
  key: z.string().min(1).max(128),
  /** When this try left, by the sender's clock: rewritten at each try. */
  sent_at: unixMs,
  /** Random per page load; with `seq` it makes loss measurable. */
  page_id: z.string().regex(idPattern).optional(),
  /** The browser's IANA time zone: names the country when nothing better does; never kept. */
  time_zone: z.string().min(1).max(64).optional(),
  events: z.array(z.unknown()).min(1),
})

/** Reads a request around its events: `beaconSchema`, compiled. */
export const readBeacon = compileReader(beaconSchema)

export type BeaconEvent = z.infer<typeof beaconEventSchema>
export type Beacon = Omit<z.infer<typeof beaconSchema>, 'events'> & { events: BeaconEvent[] }

/** What became of an event that was not accepted; accepted ones get no receipt. */
export interface Receipt {
  index: number
  id: string | null
  result: ReceiptResult
  code: DropReason
  message: string
}

/** Answer 202 of `POST /v1/events`. */
export interface BeaconAnswer {
  accepted: number
  receipts: Receipt[]
}
