import { checkFolds } from '@footfall/store/fold'
import { queryLedger } from '@footfall/store/metrics'
import type { Store } from '@footfall/store/open'
import type { Journal } from './load.ts'

/** What the checker found; every number but `acked` and `unknown…` has to be 0. */
export interface Report {
  readonly acked: number
  /** Acknowledged, but in neither table. */
  readonly lost: number
  /** More than once in the tables together. */
  readonly duplicated: number
  /** Refused for good, and yet there. */
  readonly rejectedFound: number
  /** There, but sent by nobody. */
  readonly foreign: number
  /** Under another deployment, with another path, or in the wrong table. */
  readonly swapped: number
  readonly foldDifferences: number
  /** Clean days whose sums differ from an independent count. */
  readonly dayDifferences: number
  readonly ledgerDifference: number
  readonly unknownStored: number
  readonly unknownAbsent: number
  readonly examples: readonly string[]
}

const mustBeZero = ['lost', 'duplicated', 'rejectedFound', 'foreign', 'swapped', 'foldDifferences', 'dayDifferences', 'ledgerDifference'] as const

export const isClean = (report: Report): boolean => mustBeZero.every((name) => report[name] === 0)

/** Holds what senders know against what the store has. */
export async function checkLedger(store: Store, journal: Journal): Promise<Report> {
  const rows = await store.query<{ id: string; deployment: string; path: string; is_failed: number }>(
    `SELECT toString(id) AS id, deployment, path, 0 AS is_failed FROM events
     UNION ALL
     SELECT JSONExtractString(record, 'id') AS id, deployment, JSONExtractString(record, 'path') AS path, 1 AS is_failed FROM failed_events WHERE replayed_at IS NULL`,
  )
  const examples: string[] = []
  const note = (what: string, id: string): number => {
    if (examples.length < 20) examples.push(`${what} ${id}`)
    return 1
  }
  const seen = new Map<string, number>()
  let [duplicated, rejectedFound, foreign, swapped, unknownStored, lost, acked, unknownAbsent] = [0, 0, 0, 0, 0, 0, 0, 0]
  for (const row of rows) {
    const times = (seen.get(row.id) ?? 0) + 1
    seen.set(row.id, times)
    if (times > 1) duplicated += note('duplicated', row.id)
    const sent = journal.get(row.id)
    if (!sent) foreign += note('foreign', row.id)
    else if (sent.outcome === 'rejected') rejectedFound += note('rejected but found', row.id)
    else if (sent.deployment !== row.deployment || sent.path !== row.path || sent.isLate !== (row.is_failed === 1)) swapped += note('swapped', row.id)
    if (sent?.outcome === 'unknown' && times === 1) unknownStored++
  }
  for (const [id, sent] of journal) {
    if (sent.outcome === 'acked') {
      acked++
      if (!seen.has(id)) lost += note('lost', id)
    } else if (sent.outcome === 'unknown' && !seen.has(id)) unknownAbsent++
  }
  const folds = await checkFolds(store)
  for (const fold of folds.slice(0, 5)) note(`fold ${fold.fold} differs`, `${fold.deployment} ${fold.local_day}`)
  // Counted anew without any of our views: only what fold_daily says of its newest version, against the events.
  const days = await store.query<{ deployment: string; day: string }>(
    `SELECT deployment, toString(local_day) AS day FROM
     (
       SELECT deployment, local_day, argMax(page_views, version) AS views, argMax(visitors, version) AS visitors FROM fold_daily
       WHERE (deployment, local_day) IN
         (SELECT deployment, local_day FROM (SELECT deployment, local_day, argMax(marks, version) AS folded FROM fold_days GROUP BY deployment, local_day) AS f
          INNER JOIN (SELECT deployment, local_day, sum(marks) AS marked FROM day_marks GROUP BY deployment, local_day) AS m USING (deployment, local_day) WHERE folded = marked)
       GROUP BY deployment, local_day
     ) AS folded
     LEFT JOIN (SELECT deployment, local_day, countIf(name = 'page_view') AS views, uniqExactIf(visitor, visitor != 0) AS visitors FROM events WHERE NOT test AND NOT bot GROUP BY deployment, local_day) AS counted
     USING (deployment, local_day)
     WHERE folded.views != counted.views OR folded.visitors != counted.visitors`,
  )
  for (const { deployment, day } of days.slice(0, 5)) note('day differs', `${deployment} ${day}`)
  const ledger = await queryLedger(store)
  return {
    acked,
    lost,
    duplicated,
    rejectedFound,
    foreign,
    swapped,
    foldDifferences: folds.length,
    dayDifferences: days.length,
    ledgerDifference: Math.abs(ledger.difference),
    unknownStored,
    unknownAbsent,
    examples,
  }
}
