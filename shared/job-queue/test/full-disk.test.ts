import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { openEmbeddedJobQueue } from '../src/embedded.ts'
import type { Job, JobQueue } from '../src/job-queue.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'footfall-full-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const unhandled: unknown[] = []
const note = (error: unknown): void => void unhandled.push(error)
beforeEach(() => void process.on('unhandledRejection', note))
afterEach(() => {
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})

/** A queue on a disk that a test fills and frees: it writes half, then says ENOSPC. Waits are a turn of the loop. */
async function openOnSmallDisk(own?: string) {
  const disk = { full: false, refused: 0, problems: [] as string[] }
  own ??= await mkdtemp(join(directory, 'queue-'))
  const queue = await openEmbeddedJobQueue({
    directory: own,
    wait: turn,
    onProblem: (problem) => disk.problems.push(problem),
    writeFile: async (path, text) => {
      await writeFile(path, disk.full ? text.slice(0, text.length / 2) : text)
      if (!disk.full) return
      disk.refused++
      throw Object.assign(new Error('ENOSPC: made by the test'), { code: 'ENOSPC' })
    },
  })
  /** Resolves when so many more writes were refused. */
  const refused = async (more: number): Promise<void> => {
    const until = disk.refused + more
    while (disk.refused < until) await turn()
  }
  return { disk, queue, own, refused }
}

async function reached(queue: JobQueue, id: string, state: Job['state']): Promise<Job> {
  for (;;) {
    const job = await queue.status(id)
    if (job?.state === state) return job
    await turn()
  }
}

test('a job that cannot be queued is refused and leaves no trace, in memory or on the disk', async () => {
  const { disk, queue, own } = await openOnSmallDisk()
  disk.full = true
  const both = [queue.enqueue('a', 1, { key: 'k' }), queue.enqueue('a', 1, { key: 'k' })]
  for (const refusal of await Promise.allSettled(both))
    expect(refusal).toMatchObject({ reason: { code: 'JOB_QUEUE_UNAVAILABLE', retryable: true } })
  expect([await queue.list('a'), await readdir(own)]).toEqual([[], []])
  disk.full = false
  const job = await queue.enqueue('a', 1, { key: 'k' })
  expect(await queue.list('a')).toEqual([job])
  await queue.close()
})

test('a job that cannot be marked as running waits, and runs as its first attempt once there is room', async () => {
  const { disk, queue, refused } = await openOnSmallDisk()
  const { id } = await queue.enqueue('a', 20, { attempts: 1 })
  disk.full = true
  let runs = 0
  await queue.work('a', async () => ++runs)
  await refused(5)
  expect(await queue.status(id)).toMatchObject({ state: 'waiting', attempt: 0 })
  expect(runs).toBe(0)
  disk.full = false
  expect(await reached(queue, id, 'done')).toMatchObject({ attempt: 1, result: 1 })
  await queue.close()
})

test('a schedule goes on after a full disk, without a restart', async () => {
  const { disk, queue, refused } = await openOnSmallDisk()
  await queue.schedule('folds', 'fold', 1, { task: 'fold' })
  disk.full = true
  let runs = 0
  await queue.work('folds', async () => ++runs)
  await refused(5)
  expect([runs, await queue.list('folds')]).toEqual([0, []])
  disk.full = false
  while (runs < 3) await turn()
  await queue.close()
})

test('a schedule that cannot be written does not run', async () => {
  const { disk, queue } = await openOnSmallDisk()
  disk.full = true
  await expect(queue.schedule('a', 'b', 1, null)).rejects.toMatchObject({ code: 'JOB_QUEUE_UNAVAILABLE' })
  disk.full = false
  await queue.work('a', async () => undefined)
  await turn()
  expect(await queue.list('a')).toEqual([])
  await queue.close()
})

test('a result that could not be written is written again, and the job does not run twice', async () => {
  const { disk, queue, own, refused } = await openOnSmallDisk()
  let runs = 0
  await queue.work('a', async () => {
    disk.full = true
    return ++runs
  })
  const { id } = await queue.enqueue('a', null)
  await refused(5)
  expect(await queue.status(id)).toMatchObject({ state: 'running' })
  disk.full = false
  expect(await reached(queue, id, 'done')).toMatchObject({ result: 1 })
  expect(JSON.parse(await readFile(join(own, `job-${id}.json`), 'utf8'))).toMatchObject({ state: 'done', result: 1 })
  await queue.close()
  expect(runs).toBe(1)
})

test('progress that cannot be written is none, and the run it ends does not count', async () => {
  const { disk, queue } = await openOnSmallDisk()
  const checkpoints: unknown[] = []
  await queue.work('a', async (job, context) => {
    checkpoints.push(job.progress?.checkpoint ?? null)
    await context.progress({ done: 1, total: 2, checkpoint: 1 })
    disk.full = checkpoints.length <= 3
    await context.progress({ done: 2, total: 2, checkpoint: 2 }).finally(() => (disk.full = false))
  })
  const { id } = await queue.enqueue('a', null, { attempts: 1, backoffMs: 1 })
  expect(await reached(queue, id, 'done')).toMatchObject({ attempt: 1, progress: { checkpoint: 2 } })
  expect(checkpoints).toEqual([null, 1, 1, 1])
  await queue.close()
})

test('a queue closes on a full disk; the job in hand runs again after the restart', async () => {
  const { disk, queue, own, refused } = await openOnSmallDisk()
  await queue.work('a', async () => void (disk.full = true))
  const { id } = await queue.enqueue('a', null)
  await refused(2)
  await queue.close()
  const again = await openOnSmallDisk(own)
  expect(await again.queue.status(id)).toMatchObject({ state: 'waiting' })
  await again.queue.close()
})

test('a start on a full disk loses no job that was running', async () => {
  const own = await mkdtemp(join(directory, 'start-'))
  const job = { id: 'j', queue: 'a', key: null, payload: 7, state: 'running', attempt: 1, attempts: 5, backoffMs: 1 }
  const rest = { runAt: 0, progress: null, result: null, error: null, createdAt: 0, finishedAt: null }
  await writeFile(join(own, 'job-j.json'), JSON.stringify({ ...job, ...rest }))
  const queue = await openEmbeddedJobQueue({
    directory: own,
    writeFile: () => Promise.reject(Object.assign(new Error('ENOSPC: made by the test'), { code: 'ENOSPC' })),
  })
  expect(await queue.status('j')).toMatchObject({ state: 'waiting', payload: 7 })
  expect(await readdir(own)).toEqual(['job-j.json'])
  await queue.close()
})
