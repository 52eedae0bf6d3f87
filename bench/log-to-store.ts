import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import type { LogToStoreResult } from './log-to-store-process.ts'
import { atLeast, median, type Row } from './row.ts'

/** From the log into the store in batches of 10,000, against the engine reading the same rows from a file. */
export async function benchLogToStore(rounds: number): Promise<Row[]> {
  const child = fork(join(findRoot(), 'dist/log-to-store-process.js'), [String(rounds)], {
    execArgv: [],
    env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
  })
  const [result] = (await once(child, 'message')) as [LogToStoreResult]
  child.kill('SIGKILL')
  const ours = median(result.rounds.map(({ ours }) => ours))
  const limit = median(result.rounds.map(({ limit }) => limit))
  return [
    atLeast('log to store, batches of 10,000: rows/s against INSERT SELECT FROM file() of the same rows', {
      value: median(result.rounds.map(({ ours, limit }) => ours / limit)),
      unit: '×',
      target: 0.5,
      note: `${Math.round(ours)} rows/s, the engine alone ${Math.round(limit)}`,
    }),
  ]
}
