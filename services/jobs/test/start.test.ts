import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { superviseEmbeddedClickHouse } from '@footfall/embedded-clickhouse/supervise'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { openEmbeddedJobQueue } from '@footfall/job-queue/embedded'
import { checkFolds } from '@footfall/store/fold'
import { migrate } from '@footfall/store/migrate'
import { openStore, type Store } from '@footfall/store/open'
import { createLogger } from '@footfall/telemetry/logger'
import { expect, test } from 'vitest'
import { insertRecords, makeRecord } from '../../../shared/store/test/engine.ts'
import { queues, startJobs } from '../src/start.ts'

test('folds, retention and a backup that are due at once run one after the other; a backup holds the consumer to its end', async () => {
  const root = await mkdtemp(join(tmpdir(), 'footfall-jobs-'))
  const backupsDirectory = join(root, 'backups')
  const engine = await superviseEmbeddedClickHouse({ directory: join(root, 'store'), backupsDirectory })
  const store = openStore({ url: engine.url, user: engine.user, password: engine.password })
  const log = await openEmbeddedEventLog({ directory: join(root, 'log'), minFreeBytes: 0 })
  const queue = await openEmbeddedJobQueue({ directory: join(root, 'jobs') })
  const closers = [() => engine.close(), () => store.close(), () => log.close(), () => queue.close()]
  try {
    await migrate(store, join(findRoot(), 'shared/store/migrations'), { backup: null })
    const now = Date.now()
    await insertRecords(store, [makeRecord({ at: now - 5 * 86_400_000 }), makeRecord({ at: now - 500 * 86_400_000 })])
    const steps: string[] = []
    let running = 0
    let most = 0
    const watched: Store = {
      ...store,
      async command(sql, ...more) {
        most = Math.max(most, ++running)
        try {
          await store.command(sql, ...more)
        } finally {
          running--
        }
        steps.push(sql.startsWith('BACKUP') ? 'BACKUP' : 'other')
      },
    }
    let resumed: () => void = () => undefined
    const backedUp = new Promise<void>((resolve) => (resumed = resolve))
    await queue.enqueue(queues.upkeep, { kind: 'backup', payload: {} })
    const jobs = await startJobs({
      queue,
      store: watched,
      log,
      logger: createLogger('silent'),
      deployments: () => [],
      findDeployment: () => null,
      consumedTo: async () => undefined,
      backup: {
        pause: async () => {
          steps.push('pause')
          return () => {
            steps.push('resume')
            resumed()
          }
        },
        copyLog: async (directory) => {
          await log.copyTo(directory)
          steps.push('log')
        },
        backupsDirectory,
        files: [],
        now: Date.now,
      },
      importSecretsFile: join(root, 'import-secrets.json'),
      retentionMonths: 13,
      now: Date.now,
    })
    const folds = await Promise.all([1, 2].map(() => queue.enqueue(queues.upkeep, { kind: 'fold', payload: {} })))
    await backedUp
    for (const { id } of folds)
      while ((await queue.status(id))?.state !== 'done') await new Promise((resolve) => setImmediate(resolve))
    await jobs.close()
    expect(most).toBe(1)
    const begin = steps.indexOf('pause')
    expect(steps.slice(begin, begin + 4)).toEqual(['pause', 'BACKUP', 'log', 'resume'])
    expect(await checkFolds(store)).toEqual([])
  } finally {
    for (const close of closers.reverse()) await close()
    await rm(root, { recursive: true })
  }
})
