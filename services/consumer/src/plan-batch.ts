import { failReasons, type FailReason } from '@footfall/contracts/drop-reason'
import { deduplicationWindowMs, readEventRecord, type EventRecord } from '@footfall/contracts/event'
import type { StoredRecord } from '@footfall/event-log'
import { toDateTime, toEventRow, toFailedRow, toIdRow, type LogPosition } from '@footfall/store/rows'
import { touchedDays } from '@footfall/store/touched-days'

/** A record of the log, read; `event` is null when it could not be. */
export interface ReadRecord extends StoredRecord {
  readonly event: EventRecord | null
}

/** An earlier copy of an id, as the store knows it. */
export interface EarlierCopy {
  readonly receivedAt: number
  readonly keptForEver: boolean
  /** null: its id is forgotten, and with it what the copy said. */
  readonly content: number | null
}

/** What a batch comes to: a pure function of the log's bytes and of the ids stored before it. */
export interface BatchPlan {
  readonly events: { offset: number; row: unknown[] }[]
  readonly failed: { offset: number; row: unknown[] }[]
  readonly ids: unknown[][]
  readonly ledger: unknown[][]
  /** Every (deployment, day) whose numbers a row may change. */
  readonly days: [deployment: string, day: string][]
  readonly counts: { read: number; stored: number; failed: number; deduplicated: number; poison: number }
}

/** Reads records; what is no event becomes one without, never an exception. */
export function readRecords(records: readonly StoredRecord[]): ReadRecord[] {
  return records.map(({ offset, value }) => {
    try {
      const parsed = readEventRecord(JSON.parse(value.toString('utf8')))
      return { offset, value, event: parsed.success ? parsed.data : null }
    } catch {
      return { offset, value, event: null }
    }
  })
}

/** The name under which copies of an event are recognised. */
export const idKey = (deployment: string, hex: string): string => `${hex}${deployment}`

const within = (copy: EarlierCopy, event: EventRecord): boolean =>
  event.source !== 'beacon' ||
  copy.keptForEver ||
  Math.abs(event.received_at - copy.receivedAt) <= deduplicationWindowMs

interface DeploymentCounts {
  read: number
  stored: number
  failed: number
  deduplicated: number
  conflicting: number
  receivedTo: number
}

/**
 * Decides what becomes of each record: an event, a failed event, or a second copy. The window compares when the two
 * copies were received, never the time now, so a batch that is planned again comes out the same.
 * @param earlier copies by `idKey`, without those written by an earlier try of this batch.
 * @param refused offsets that the store refused on their own.
 */
export function planBatch(
  records: readonly ReadRecord[],
  earlier: ReadonlyMap<string, readonly EarlierCopy[]>,
  at: { logId: string; partition: number; base: number; end: number },
  refused: ReadonlyMap<number, string> = new Map(),
): BatchPlan {
  const seen = new Map<string, EarlierCopy[]>()
  const counts = { read: 0, stored: 0, failed: 0, deduplicated: 0, poison: 0 }
  const byDeployment = new Map<string, DeploymentCounts>()
  const stored: EventRecord[] = []
  const events: BatchPlan['events'] = []
  const failed: BatchPlan['failed'] = []
  const ids: unknown[][] = []

  const countsOf = (deployment: string): DeploymentCounts => {
    let found = byDeployment.get(deployment)
    if (!found) {
      found = { read: 0, stored: 0, failed: 0, deduplicated: 0, conflicting: 0, receivedTo: 0 }
      byDeployment.set(deployment, found)
    }
    return found
  }

  // A range without records (erased ones leave gaps) is consumed too, and the ledger says so.
  if (records.length === 0) countsOf('')
  // What cannot be read has no time of its own: it came about when its neighbours did.
  const receivedAbout = records.reduce((latest, { event }) => Math.max(latest, event?.received_at ?? 0), 0)

  for (const { offset, value, event } of records) {
    const position: LogPosition = { logId: at.logId, partition: at.partition, offset }
    const ofDeployment = countsOf(event?.deployment ?? '')
    ofDeployment.read++
    counts.read++
    const fail = (reason: FailReason, detail: string): void => {
      failed.push({
        offset,
        row: toFailedRow(event ?? { received_at: receivedAbout }, value, reason, detail, position),
      })
      ofDeployment.failed++
      counts.failed++
      if (reason !== 'late') counts.poison++
    }
    if (!event) {
      fail('invalid_record', failReasons.invalid_record)
      continue
    }
    ofDeployment.receivedTo = Math.max(ofDeployment.receivedTo, event.received_at)
    const key = idKey(event.deployment, event.id.replaceAll('-', ''))
    const before = earlier.get(key)
    const inBatch = seen.get(key)
    if (before || inBatch) {
      const copies = [...(before ?? []), ...(inBatch ?? [])].filter((copy) => within(copy, event))
      if (copies.length > 0) {
        ofDeployment.deduplicated++
        counts.deduplicated++
        if (copies.every(({ content }) => content !== null && content !== event.content)) ofDeployment.conflicting++
        continue
      }
    }
    const copy = { receivedAt: event.received_at, keptForEver: event.source !== 'beacon', content: event.content }
    seen.set(key, [...(inBatch ?? []), copy])
    ids.push(toIdRow(event, position))
    const refusal = refused.get(offset)
    if (event.late) {
      fail('late', failReasons.late)
    } else if (refusal !== undefined) {
      fail('refused_by_store', refusal)
    } else {
      events.push({ offset, row: toEventRow(event, position) })
      ofDeployment.stored++
      counts.stored++
      stored.push(event)
    }
  }

  const ledger = [...byDeployment].map(([deployment, found]) => [
    at.logId,
    at.partition,
    at.base,
    at.end,
    deployment,
    found.read,
    found.stored,
    found.failed,
    found.deduplicated,
    found.conflicting,
    toDateTime(found.receivedTo),
  ])
  return { events, failed, ids, ledger, days: touchedDays(stored), counts }
}
