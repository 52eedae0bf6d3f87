import type { Store } from './open.ts'
import { readQuery } from './queries.ts'

/** First offset of each partition that the store does not have, by the ledger: whoever consumes, and wherever. */
export async function storedPositions(store: Store, logId: string): Promise<Map<number, number>> {
  const rows = await store.query<{ partition: number; next: string }>(readQuery('stored-positions'), { log_id: logId })
  return new Map(rows.map(({ partition, next }) => [Number(partition), Number(next)]))
}
