import { checkFolds } from '@footfall/store/fold'
import type { Store } from '@footfall/store/open'
import { hashContent, journalKey, type Journal } from './journal.ts'

/** What the checker found. `faults` has to be 0 in every place; `known` says how much was looked at. */
export interface Report {
  readonly faults: {
    /** Acknowledged, but in neither table. */
    readonly lost: number
    /** Rows beyond the first of an event, in both tables together. */
    readonly duplicated: number
    /** Refused for good, and yet there. */
    readonly rejectedFound: number
    /** There, but sent by nobody. */
    readonly foreign: number
    /** Under another deployment, with other content, or in the wrong table. */
    readonly swapped: number
    /** Clean days whose folds are not what their events say, by the store's own definitions. */
    readonly foldDifferences: number
    /** Clean days whose page views or visitors differ from a count that knows none of those definitions. */
    readonly dayDifferences: number
    /** Σ read − events − failed − deduplicated − expired − erased, summed over deployments without sign. */
    readonly ledgerDifference: number
    /** Offsets of a partition that no batch, or more than one, accounts for. */
    readonly ledgerGaps: number
  }
  readonly known: {
    readonly acked: number
    readonly rejected: number
    readonly unknownStored: number
    readonly unknownAbsent: number
    readonly failed: number
    readonly deduplicated: number
    readonly cleanDays: number
  }
  readonly examples: readonly string[]
}

export type Fault = keyof Report['faults']

export const faultsOf = (report: Report): Fault[] =>
  (Object.keys(report.faults) as Fault[]).filter((fault) => report.faults[fault] !== 0)

interface StoredEvent {
  readonly id: string
  readonly deployment: string
  readonly at: string
  readonly name: string
  readonly host: string
  readonly path: string
  readonly note: string
  readonly journey: string
  readonly journey_id: string
  readonly outcome: string
  readonly rating: number
  readonly is_failed: number
}

/** Every stored event, from the tables themselves; a failed one is read from the record that it was. */
const storedEvents = `
  SELECT toString(id) AS id, deployment, toUnixTimestamp64Milli(at) AS at, name, host, path, props['note'] AS note,
         journey, journey_id, outcome, rating, 0 AS is_failed
  FROM events
  UNION ALL
  SELECT JSONExtractString(record, 'id'), deployment, JSONExtractInt(record, 'at'), JSONExtractString(record, 'name'),
         JSONExtractString(record, 'host'), JSONExtractString(record, 'path'), JSONExtractString(record, 'props', 'note'),
         JSONExtractString(record, 'journey'), JSONExtractString(record, 'journey_id'), JSONExtractString(record, 'outcome'),
         toUInt8(JSONExtractUInt(record, 'rating')), 1
  FROM failed_events WHERE replayed_at IS NULL`

/** Clean days that have all their events, and those of them where the fold's page views and visitors are not what a plain count of events gives. */
const countedDays = `
  SELECT deployment, toString(local_day) AS day, folded.views != counted.views OR folded.visitors != counted.visitors AS differs
  FROM
  (
    SELECT deployment, local_day, max(version) AS version FROM day_marks GROUP BY deployment, local_day HAVING sum(marks) = max(folded) AND max(closed) = 0
  ) AS clean
  LEFT JOIN
  (
    SELECT deployment, local_day, version, sum(page_views) AS views, sum(visitors) AS visitors FROM fold_daily GROUP BY deployment, local_day, version
  ) AS folded USING (deployment, local_day, version)
  LEFT JOIN
  (
    SELECT deployment, local_day, countIf(name = 'page_view') AS views, uniqExactIf(visitor, visitor != 0 AND name NOT IN ('web_vital', 'engagement', 'error')) AS visitors
    FROM events WHERE NOT test AND NOT bot GROUP BY deployment, local_day
  ) AS counted USING (deployment, local_day)`

const conservation = `
  SELECT deployment, sum(read) AS read, sum(ended) AS ended, sum(copies) AS copies FROM
  (
    SELECT deployment, toInt64(read) AS read, toInt64(deduplicated) AS ended, toInt64(deduplicated) AS copies FROM ledger FINAL
    UNION ALL SELECT deployment, 0, toInt64(count()), 0 FROM events GROUP BY deployment
    UNION ALL SELECT deployment, 0, toInt64(countIf(replayed_at IS NULL)), 0 FROM failed_events GROUP BY deployment
    UNION ALL SELECT deployment, 0, toInt64(events + failed), 0 FROM removals FINAL
  )
  GROUP BY deployment`

const batches =
  'SELECT log_id, partition, base, `end` FROM ledger FINAL GROUP BY log_id, partition, base, `end` ORDER BY log_id, partition, base'

/**
 * Holds what the senders know against what the store has, for a log that is consumed to its end: every acknowledged
 * event once, every refused one nowhere, nothing that nobody sent, folds and ledger as the events say.
 */
export async function checkLedger(store: Store, journal: Journal): Promise<Report> {
  const examples: string[] = []
  const faults: Record<Fault, number> = {
    lost: 0,
    duplicated: 0,
    rejectedFound: 0,
    foreign: 0,
    swapped: 0,
    foldDifferences: 0,
    dayDifferences: 0,
    ledgerDifference: 0,
    ledgerGaps: 0,
  }
  const blame = (fault: Fault, what: string, by = 1): void => {
    if (faults[fault] < 5) examples.push(`${fault}: ${what}`)
    faults[fault] += by
  }
  const known = {
    acked: 0,
    rejected: 0,
    unknownStored: 0,
    unknownAbsent: 0,
    failed: 0,
    deduplicated: 0,
    cleanDays: 0,
  }

  const sentIds = new Set([...journal.values()].map(({ id }) => id))
  const times = new Map<string, number>()
  for (const row of await store.query<StoredEvent>(storedEvents)) {
    const key = journalKey(row.deployment, row.id)
    const sent = journal.get(key)
    const earlier = times.get(key) ?? 0
    times.set(key, earlier + 1)
    known.failed += row.is_failed
    if (earlier > 0) blame('duplicated', key)
    const content = hashContent({
      ...row,
      at: Number(row.at),
      journeyId: row.journey_id,
    })
    if (!sent) blame(sentIds.has(row.id) ? 'swapped' : 'foreign', key)
    else if (sent.outcome === 'rejected') blame('rejectedFound', key)
    else if (sent.content !== content) blame('swapped', `${key} has other content`)
    else if (sent.isLate !== (row.is_failed === 1)) blame('swapped', `${key} is in the wrong table`)
  }
  for (const [key, { outcome }] of journal) {
    const isStored = times.has(key)
    if (outcome === 'unknown') known[isStored ? 'unknownStored' : 'unknownAbsent']++
    else known[outcome]++
    if (outcome === 'acked' && !isStored) blame('lost', key)
  }

  for (const { fold, deployment, local_day } of await checkFolds(store))
    blame('foldDifferences', `${fold} of ${deployment} ${local_day}`)
  for (const { deployment, day, differs } of await store.query<{
    deployment: string
    day: string
    differs: number
  }>(countedDays)) {
    known.cleanDays++
    if (differs) blame('dayDifferences', `${deployment} ${day}`)
  }

  for (const row of await store.query<Record<'deployment' | 'read' | 'ended' | 'copies', string>>(conservation)) {
    known.deduplicated += Number(row.copies)
    const difference = Number(row.read) - Number(row.ended)
    if (difference !== 0)
      blame('ledgerDifference', `${row.deployment}: ${row.read} read, ${row.ended} ended`, Math.abs(difference))
  }
  let before: { log_id: string; partition: number; end: number } | null = null
  for (const row of await store.query<{
    log_id: string
    partition: number
    base: string
    end: string
  }>(batches)) {
    const expected: number = before?.log_id === row.log_id && before.partition === row.partition ? before.end : 0
    const gap = Math.abs(Number(row.base) - expected)
    if (gap !== 0)
      blame('ledgerGaps', `partition ${row.partition}: a batch begins at ${row.base}, not at ${expected}`, gap)
    before = { ...row, end: Number(row.end) }
  }
  return { faults, known, examples }
}
