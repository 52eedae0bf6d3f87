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

/** A record as a row of `events`, in the order of `eventColumns`. */
export function toEventRow(record: EventRecord, position: LogPosition): unknown[] {
  return [
    record.deployment,
    record.local_day,
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
    record.host,
    record.path,
    record.screen,
    record.referrer,
    record.props,
    record.value,
    record.journey,
    record.journey_id,
    record.journey_step,
    record.outcome,
    record.rating,
    record.dataset,
    record.app_version,
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

/** A record that cannot be an event, as a row of `failed_events`; `record` is null when it could not be read at all. */
export function toFailedRow(
  record: EventRecord | null,
  raw: string,
  reason: FailReason,
  detail: string,
  position: LogPosition,
): unknown[] {
  return [
    record?.deployment ?? '',
    record?.local_day ?? '1970-01-01',
    toDateTime(record?.received_at ?? 0),
    reason,
    detail.slice(0, 500),
    raw.slice(0, 32_768),
    position.logId,
    position.partition,
    position.offset,
  ]
}

export const idColumns = [
  'hex',
  'deployment',
  'received_at',
  'kept_for_ever',
  'log_id',
  'partition',
  'offset',
  'content',
] as const

/** Notes that an id is taken. Imports are recognised for ever, beacons for the deduplication window. */
export function toIdRow(record: EventRecord, position: LogPosition): unknown[] {
  return [
    record.id.replaceAll('-', ''),
    record.deployment,
    toDateTime(record.received_at),
    record.source === 'import',
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

/** Unix milliseconds as the engine reads them without doubt: seconds with three decimals. */
export function toDateTime(unixMs: number): string {
  return (unixMs / 1000).toFixed(3)
}
