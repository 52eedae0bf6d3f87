import { PipelineError } from '@footfall/contracts/errors'
import type { Store } from './open.ts'
import { toDateTime } from './rows.ts'

/** A standalone data directory that was taken over into this store, or is being. */
export interface Move {
  /** Of the event log in the directory. */
  readonly logId: string
  /** Unix milliseconds. */
  readonly startedAt: number
  readonly finishedAt: number | null
}

/** Every move into this store, oldest first. */
export async function readMoves(store: Store): Promise<Move[]> {
  const rows = await store.query<{ log_id: string; started: string; finished: string | null }>(
    `SELECT log_id, toUnixTimestamp64Milli(started_at) AS started, toUnixTimestamp64Milli(finished_at) AS finished
     FROM moves FINAL ORDER BY started_at`,
  )
  return rows.map(({ log_id, started, finished }) => ({
    logId: log_id,
    startedAt: Number(started),
    finishedAt: finished === null ? null : Number(finished),
  }))
}

/** Notes a move, or what has become of it. */
export async function noteMove(store: Store, { logId, startedAt, finishedAt }: Move): Promise<void> {
  const times = [toDateTime(startedAt), finishedAt === null ? null : toDateTime(finishedAt)]
  await store.insert('moves', ['log_id', 'started_at', 'finished_at'], [[logId, ...times]], null)
}

/** @throws NOT_READY while a move is under way, or was cut off: what is half there must not be added to. */
export async function refuseUnfinishedMove(store: Store): Promise<void> {
  const open = (await readMoves(store)).find(({ finishedAt }) => finishedAt === null)
  if (open)
    throw new PipelineError(
      'NOT_READY',
      `A data directory is being moved into this store since ${new Date(open.startedAt).toISOString()}. If nobody is at it: run "footfall migrate-to" again.`,
    )
}
