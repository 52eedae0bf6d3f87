import type { Store } from '@footfall/store/open'

/** What a data directory comes to once its log is consumed and its days are folded. */
export interface Contents {
  /** Answers of `/api/v1/ledger`, by deployment. */
  readonly ledger: Readonly<Record<string, unknown>>
  /** Rows, by table and deployment. */
  readonly tables: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Rows of each published number over the whole period, by deployment and metric. */
  readonly metrics: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** What a fixture holds, written beside it by the version that made it. */
export interface Fixture {
  readonly version: string
  /** When it was cut off: what checks it takes this for the time. Unix milliseconds. */
  readonly madeAt: number
  /** Files of migrations that its store has had. */
  readonly migrations: readonly string[]
  readonly from: string
  readonly to: string
  readonly origin: string
  /** Public keys by deployment, and what the registry has made itself. */
  readonly keys: Readonly<Record<string, string>>
  readonly serverKey: string
  readonly readToken: string
  /** Events that were acknowledged, and how many of them the store did not have yet. */
  readonly accepted: number
  readonly unconsumed: number
  /** Days whose fold had not seen all their events. */
  readonly dirtyDays: readonly string[]
  /** An event that is stored, as it was sent, and the deployment it was sent to. */
  readonly stored: { readonly deployment: string; readonly event: { readonly id: string } }
  readonly contents: Contents
}

type Ask = (path: string) => Promise<unknown>

/**
 * All that is counted by deployment. Ids count once, since a batch that was cut off writes them again; folds count as days,
 * since one that is being replaced may have rows of two versions.
 */
const tables: Readonly<Record<string, string>> = {
  events: 'SELECT deployment, count() AS rows FROM events GROUP BY deployment',
  failed_events: 'SELECT deployment, count() AS rows FROM failed_events GROUP BY deployment',
  event_ids: 'SELECT deployment, uniqExact(id) AS rows FROM event_ids GROUP BY deployment',
  refusals: 'SELECT deployment, sum(refused) AS rows FROM refusals GROUP BY deployment',
  folded_days: 'SELECT deployment, uniqExact(local_day) AS rows FROM fold_daily GROUP BY deployment',
}
/** Counts the last minutes by the engine's clock. */
const ofNow = new Set(['live_events'])

/** Reads it through the API and, for rows, from the store. @param only metrics to read; default: all there are. */
export async function readContents(
  ask: Ask,
  store: Store,
  { keys, from, to }: Pick<Fixture, 'keys' | 'from' | 'to'>,
  only?: readonly string[],
): Promise<Contents> {
  const deployments = Object.keys(keys)
  const { metrics: known } = (await ask('/api/v1/metrics')) as { metrics: { id: string }[] }
  const metrics = only ?? known.map(({ id }) => id).filter((id) => !ofNow.has(id))
  const byDeployment = async <Value>(read: (deployment: string) => Promise<Value>): Promise<Record<string, Value>> => {
    const entries: [string, Value][] = []
    for (const deployment of deployments) entries.push([deployment, await read(deployment)])
    return Object.fromEntries(entries)
  }
  const rows: Record<string, Record<string, number>> = {}
  for (const [table, sql] of Object.entries(tables)) {
    const counted = await store.query<{ deployment: string; rows: string }>(`${sql} ORDER BY deployment`)
    rows[table] = Object.fromEntries(counted.map(({ deployment, rows: number }) => [deployment, Number(number)]))
  }
  return {
    ledger: await byDeployment(async (deployment) => {
      const { as_of: _, ...sums } = (await ask(`/api/v1/ledger?deployment=${deployment}`)) as Record<string, unknown>
      return sums
    }),
    tables: rows,
    metrics: await byDeployment(async (deployment) => {
      const answers = await Promise.all(
        metrics.map(async (id) => {
          const path = `/api/v1/metrics/${id}?deployment=${deployment}&from=${from}&to=${to}`
          return [id, ((await ask(path)) as { rows: unknown }).rows] as const
        }),
      )
      return Object.fromEntries(answers)
    }),
  }
}
