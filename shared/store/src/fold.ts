import { randomInt } from 'node:crypto'
import type { Store } from './open.ts'
import { readQuery } from './queries.ts'

export interface DeploymentDay {
  readonly deployment: string
  readonly local_day: string
}

interface MarkedDay extends DeploymentDay {
  readonly marks: string
}

/** The tables of a fold, each with the columns after (deployment, local_day, version). */
const folds = {
  daily:
    'events, page_views, views_with_visitor, bot_events, corrected_events, visitors, sessions, bounces, session_seconds, rating_1, rating_2, rating_3, rating_4, rating_5, beacons_expected, beacons_received',
  dimensions: 'dimension, value, uses, visitors',
  journeys: 'journey, started, completed, joined, ambiguous',
} as const
const foldNames = Object.keys(folds) as (keyof typeof folds)[]

/** Pairs a statement; bounds the memory of a fold. */
const chunkSize = 400

/**
 * Days that have ended and changed since their last fold.
 * @param today the local day of a deployment now: its own days before that have ended.
 */
export async function dirtyDays(store: Store, today: (deployment: string) => string): Promise<MarkedDay[]> {
  const rows = await store.query<MarkedDay>(readQuery('dirty-days'))
  return rows.filter((row) => row.local_day < today(row.deployment))
}

const bounds = (days: readonly DeploymentDay[]): { deployments: string[]; from: string; to: string } => {
  const sorted = days.map(({ local_day }) => local_day).sort()
  return {
    deployments: [...new Set(days.map(({ deployment }) => deployment))],
    from: sorted[0] ?? '1970-01-01',
    to: sorted.at(-1) ?? '1970-01-01',
  }
}

const versionsPerMs = 1 << 20

/** A version above every one that counts. Two folds that begin at once get two: equal ones would add their rows up. */
async function nextVersion(store: Store, now: number): Promise<string> {
  const [latest] = await store.query<{ version: string }>('SELECT max(version) AS version FROM day_marks')
  const after = BigInt(latest?.version ?? 0) / BigInt(versionsPerMs) + 1n
  const ms = after > now ? after : BigInt(now)
  return String(ms * BigInt(versionsPerMs) + BigInt(randomInt(versionsPerMs)))
}

/**
 * Folds days anew from their events. Marks are read before the events (`dirtyDays`) and written with the fold's version last:
 * an event that arrives meanwhile leaves the day dirty. May be cut off and repeated at any line, and run beside another.
 * @param version greater than that of any earlier fold of these days (Unix milliseconds).
 */
export async function foldDays(store: Store, days: readonly MarkedDay[], options: { version: number }): Promise<void> {
  const ordered = [...days].sort((a, b) => (a.local_day < b.local_day ? -1 : 1))
  for (let start = 0; start < ordered.length; start += chunkSize) {
    const chunk = ordered.slice(start, start + chunkSize)
    const version = await nextVersion(store, options.version)
    const parameters = {
      ...bounds(chunk),
      version,
      names: chunk.map(({ deployment }) => deployment),
      days: chunk.map(({ local_day }) => local_day),
    }
    for (const name of foldNames) {
      await store.command(
        `INSERT INTO fold_${name} (deployment, local_day, version, ${folds[name]})
         SELECT deployment, local_day, {version:UInt64}, ${folds[name]}
         FROM raw_${name}(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, all_days = 1)
         WHERE (deployment, local_day) IN (SELECT tupleElement(pair, 1), toDate(tupleElement(pair, 2)) FROM (SELECT arrayJoin(arrayZip({names:Array(String)}, {days:Array(String)})) AS pair))`,
        parameters,
      )
    }
    await store.insert(
      'day_marks',
      ['deployment', 'local_day', 'marks', 'folded', 'version'],
      chunk.map((day) => [day.deployment, day.local_day, 0, day.marks, version]),
      null,
    )
  }
  await dropOldVersions(store)
}

/**
 * Removes the rows of folds that no longer count: those below the version that day_marks names. Those above it belong to
 * a fold that is under way, or was cut off: the day's next fold is above them.
 */
async function dropOldVersions(store: Store): Promise<void> {
  for (const name of foldNames) {
    await store.command(
      `DELETE FROM fold_${name} WHERE (deployment, local_day, version) IN
       (
         SELECT deployment, local_day, version FROM fold_${name}
         INNER JOIN (SELECT deployment, local_day, max(version) AS current FROM day_marks GROUP BY deployment, local_day) AS marked USING (deployment, local_day)
         WHERE version < current
       )`,
    )
  }
}

/** A clean day whose fold is not what its events say. */
export interface FoldDifference extends DeploymentDay {
  readonly fold: string
}

/** Recomputes every clean day from its events and returns where the folds differ. Closed days have lost events: not they. */
export async function checkFolds(store: Store): Promise<FoldDifference[]> {
  const [range] = await store.query<{ deployments: string[]; from: string; to: string }>(
    'SELECT groupUniqArray(deployment) AS deployments, min(local_day) AS from, max(local_day) AS to FROM day_marks',
  )
  if (!range || range.deployments.length === 0) return []
  const differences: FoldDifference[] = []
  for (const name of foldNames) {
    const clean =
      'FROM clean_days(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}) WHERE NOT is_closed'
    const rows = await store.query<FoldDifference>(
      `SELECT deployment, local_day, {name:String} AS fold FROM
       (
         SELECT deployment, local_day, tuple(${folds[name]}) AS row, 1 AS side FROM fold_${name}
         WHERE (deployment, local_day, version) IN (SELECT deployment, local_day, version ${clean})
         UNION ALL
         SELECT deployment, local_day, tuple(${folds[name]}) AS row, -1 AS side
         FROM raw_${name}(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, all_days = 1)
         WHERE (deployment, local_day) IN (SELECT deployment, local_day ${clean})
       )
       GROUP BY deployment, local_day, row HAVING sum(side) != 0 LIMIT 100`,
      { ...range, name },
    )
    differences.push(...rows)
  }
  return differences
}
