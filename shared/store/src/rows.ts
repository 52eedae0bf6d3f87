import { crc32 } from 'node:zlib'
import type { FailReason } from '@footfall/contracts/drop-reason'
import type { EventRecord } from '@footfall/contracts/event'

/** Where a record stands in the log. */
export interface LogPosition {
  readonly logId: string
  readonly partition: number
  readonly offset: number
}

export const eventColumns = [
  'deployment',
  'local_day',
  'local_hour',
  'visitor',
  'at',
  'received_at',
  'id',
  'source',
  'test',
  'bot',
  'clock_corrected',
  'name',
  'host',
  'path',
  'screen',
  'referrer',
  'props',
  'value',
  'journey',
  'journey_id',
  'journey_step',
  'outcome',
  'rating',
  'dataset',
  'app_version',
  'device',
  'browser',
  'system',
  'country',
  'page',
  'seq',
  'attempt',
  'log_id',
  'partition',
  'offset',
] as const

/** The engine's JSON parser refuses lone halves of surrogate pairs. */
function wellFormedProps(props: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const name in props) {
    if (name.isWellFormed() && props[name]!.isWellFormed()) continue
    return Object.fromEntries(Object.entries(props).map(([key, text]) => [key.toWellFormed(), text.toWellFormed()]))
  }
  return props
}

/** A record as a row of `events`, in the order of `eventColumns`. */
export function toEventRow(record: EventRecord, position: LogPosition): unknown[] {
  return [
    record.deployment,
    clampDay(record.local_day),
    record.local_hour,
    record.visitor,
    toDateTime(record.at),
    toDateTime(record.received_at),
    record.id,
    record.source,
    record.test,
    record.bot,
    record.clock_corrected,
    record.name,
    record.host.toWellFormed(),
    record.path.toWellFormed(),
    record.screen.toWellFormed(),
    record.referrer.toWellFormed(),
    wellFormedProps(record.props),
    record.value,
    record.journey,
    record.journey_id,
    record.journey_step.toWellFormed(),
    record.outcome,
    record.rating,
    record.dataset.toWellFormed(),
    record.app_version.toWellFormed(),
    record.device,
    record.browser,
    record.system,
    record.country,
    record.page_id === '' ? 0 : crc32(record.page_id),
    record.seq,
    record.attempt,
    position.logId,
    position.partition,
    position.offset,
  ]
}

export const failedColumns = [
  'deployment',
  'local_day',
  'received_at',
  'reason',
  'detail',
  'record',
  'log_id',
  'partition',
  'offset',
] as const

/**
 * A record that cannot be an event, as a row of `failed_events`.
 * @param record what is known of it; of one that could not be read, about when it was received.
 */
export function toFailedRow(
  record: Pick<EventRecord, 'received_at'> & Partial<EventRecord>,
  value: Buffer,
  reason: FailReason,
  detail: string,
  position: LogPosition,
): unknown[] {
  return [
    record.deployment ?? '',
    clampDay(record.local_day ?? firstDay),
    toDateTime(record.received_at),
    reason,
    detail.slice(0, 500).toWellFormed(),
    value.toString('utf8').slice(0, 32_768).toWellFormed(),
    position.logId,
    position.partition,
    position.offset,
  ]
}

export const idColumns = [
  'hex',
  'deployment',
  'local_day',
  'received_at',
  'kept_for_ever',
  'log_id',
  'partition',
  'offset',
  'content',
] as const

/** Notes that an id is taken. Imports and the demo are recognised for ever, beacons for the deduplication window. */
export function toIdRow(record: EventRecord, position: LogPosition): unknown[] {
  return [
    record.id.replaceAll('-', ''),
    record.deployment,
    clampDay(record.local_day),
    toDateTime(record.received_at),
    record.source !== 'beacon',
    position.logId,
    position.partition,
    position.offset,
    record.content,
  ]
}

export const ledgerColumns = [
  'log_id',
  'partition',
  'base',
  'end',
  'deployment',
  'read',
  'stored',
  'failed',
  'deduplicated',
  'conflicting',
  'received_to',
] as const

// What the engine's Date and DateTime64 can hold.
const firstDay = '1970-01-01'
const lastDay = '2149-06-06'
const firstMs = Date.UTC(1900, 0, 1)
const lastMs = Date.UTC(2299, 0, 1)

const clampDay = (day: string): string => (day < firstDay ? firstDay : day > lastDay ? lastDay : day)

/** Unix milliseconds as the engine reads them without doubt, whatever the century; beyond what it can hold, the nearest. */
export function toDateTime(unixMs: number): string {
  const held = Math.min(lastMs, Math.max(firstMs, unixMs))
  // Ten digits of seconds with three decimals are the quickest form; with fewer digits they would be read as something else.
  return held >= 1e12 && held < 1e13 ? (held / 1000).toFixed(3) : new Date(held).toISOString().slice(0, -1)
}
