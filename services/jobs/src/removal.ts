import type { Store } from '@footfall/store/open'
import { readQuery } from '@footfall/store/queries'
import { toDateTime } from '@footfall/store/rows'
import * as z from 'zod'

/** What goes, as the parameters of its statements. */
const boundsSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('expired'), before: z.number() }),
  z.strictObject({
    kind: z.literal('erased'),
    deployment: z.string(),
    from: z.string(),
    to: z.string(),
    time_zone: z.string(),
    log_id: z.string(),
    /** By partition: what came later stays. */
    ends: z.array(z.number()),
  }),
])
export type RemovalBounds = z.infer<typeof boundsSchema>

/** Each statement may be repeated. */
const statements = {
  expired: { count: 'count-expired', remove: ['expire-events', 'expire-failed-events'] },
  erased: {
    count: 'count-erased',
    remove: [
      'erase-ids',
      'erase-events',
      'erase-failed-events',
      'erase-refusals',
      // After the events: a fold that runs now must not find them again.
      'reopen-days',
      'mark-days',
    ],
  },
} as const

export interface RemovalCounts {
  readonly events: number
  readonly failed: number
}

/** Takes the rows out, and notes that they are gone. */
async function finish(store: Store, removal: string, { kind, ...parameters }: RemovalBounds): Promise<void> {
  for (const name of statements[kind].remove) await store.command(readQuery(name), parameters)
  await store.command(readQuery('finish-removal'), { removal })
}

/** Whether finishing `left` is part of what was asked for now: somebody asks again for what did not come to its end. */
const isPartOf = (left: RemovalBounds, asked: RemovalBounds): boolean =>
  left.kind === 'erased' ? asked.kind === 'erased' && left.deployment === asked.deployment : asked.kind === 'expired'

/**
 * Takes rows out of the store and counts each of them once, wherever a run is cut off: the count is written before the
 * first row goes and never again, and what an earlier removal left half-way is finished before anything is counted. Runs
 * alone: nothing else may remove, replay or fold meanwhile.
 * @param removal names what goes: under a name that was counted nothing is counted again.
 * @returns what this removal took, with what it finished of an earlier one.
 */
export async function removeRows(
  store: Store,
  removal: string,
  bounds: RemovalBounds,
  now: number,
): Promise<RemovalCounts> {
  const names = [removal]
  const open = await store.query<{ removal: string; bounds: string }>(
    'SELECT DISTINCT removal, bounds FROM removals FINAL WHERE NOT done',
  )
  for (const left of open) {
    const leftBounds = boundsSchema.parse(JSON.parse(left.bounds))
    await finish(store, left.removal, leftBounds)
    if (isPartOf(leftBounds, bounds)) names.push(left.removal)
  }
  const [known] = await store.query<{ n: string }>(
    'SELECT count() AS n FROM removals WHERE removal = {removal:String}',
    { removal },
  )
  if (Number(known?.n) === 0) {
    const { kind, ...parameters } = bounds
    const counted = await store.query<{ deployment: string; events: string; failed: string }>(
      readQuery(statements[kind].count),
      parameters,
    )
    const text = JSON.stringify(bounds)
    await store.insert(
      'removals',
      ['removal', 'kind', 'deployment', 'events', 'failed', 'at', 'bounds', 'done'],
      counted.map((row) => [removal, kind, row.deployment, row.events, row.failed, toDateTime(now), text, false]),
      null,
    )
    if (counted.length > 0) await finish(store, removal, bounds)
  }
  const [sums] = await store.query<{ events: string; failed: string }>(
    'SELECT sum(r.events) AS events, sum(r.failed) AS failed FROM removals AS r FINAL WHERE removal IN {names:Array(String)}',
    { names },
  )
  return { events: Number(sums?.events ?? 0), failed: Number(sums?.failed ?? 0) }
}
