import * as z from 'zod'
import { compileReader } from './compiled-reader.ts'

/** Version of the record in the log. A reader accepts this and every earlier one. */
export const recordVersion = 1

/** Events older than this when they arrive fail as `late`. */
export const maxLatenessMs = 7 * 24 * 3600 * 1000
/** A retry that comes within this time of the first copy is recognised. */
export const deduplicationWindowMs = 72 * 3600 * 1000
/** Ids are forgotten so much later than what is being consumed needs them. Who comes later still is looked for among the events. */
export const idSpareMs = 24 * 3600 * 1000

export const sources = ['beacon', 'import', 'demo'] as const
export type Source = (typeof sources)[number]

export const deviceClasses = ['desktop', 'mobile', 'tablet', 'tv', 'bot', 'other'] as const

/**
 * An accepted event as the log carries it: complete, so that a batch's rows are a function of the log's bytes alone.
 * Holds no address, no user agent, no query string. Missing text is ''. Times are Unix milliseconds.
 */
export const eventRecordSchema = z.object({
  v: z.literal(recordVersion),
  /** Lower-case UUID. */
  id: z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
  deployment: z.string().min(1),
  source: z.enum(sources),
  received_at: z.number().int(),
  /** When it happened, corrected for the sender's clock. */
  at: z.number().int(),
  /** Day and hour in the deployment's time zone. */
  local_day: z.iso.date(),
  local_hour: z.number().int().min(0).max(23),
  /** More than `maxLatenessMs` before `received_at`. */
  late: z.boolean(),
  /** From a test environment, a test origin or localhost: shown live, in no number. */
  test: z.boolean(),
  bot: z.boolean(),
  /** `at` was moved because the sender's clock was wrong. */
  clock_corrected: z.boolean(),
  name: z.string().min(1),
  host: z.string(),
  path: z.string(),
  screen: z.string(),
  /** Host only. */
  referrer: z.string(),
  props: z.record(z.string(), z.string()),
  value: z.number().nullable(),
  journey: z.string(),
  journey_id: z.string(),
  journey_step: z.string(),
  outcome: z.string(),
  /** 1 to 5; 0: none. */
  rating: z.number().int().min(0).max(5),
  dataset: z.string(),
  app_version: z.string(),
  device: z.string(),
  browser: z.string(),
  system: z.string(),
  /** ISO 3166-1 alpha-2, '' unknown. */
  country: z.string(),
  /** Unsigned 64-bit keyed hash as decimal text, '0': none (no salt for that day). Means nothing beyond its local day. */
  visitor: z.string(),
  page_id: z.string(),
  seq: z.number().int(),
  attempt: z.number().int(),
  /** CRC-32 of what the sender said, without `sent_at` and `attempt`: tells a true copy from a conflicting one. */
  content: z.number().int().min(0),
})

export type EventRecord = z.infer<typeof eventRecordSchema>

/** Reads a record of the log: `eventRecordSchema`, compiled. */
export const readEventRecord = compileReader(eventRecordSchema)

/** A refusal sample, on a topic of its own: feeds the live view, at most 10 a second a deployment, never a payload. */
export interface RefusalRecord {
  v: 1
  deployment: string
  reason: string
  at: number
  count: number
  /** Where the fault is, e.g. `events[0].url`; never what was sent. */
  where: string
}

export const topics = { events: 'events', registry: 'registry', refusals: 'refusals' } as const
