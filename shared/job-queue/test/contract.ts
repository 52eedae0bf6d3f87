import { PipelineError } from '@footfall/contracts/errors'
import { afterEach, describe, expect, test } from 'vitest'
import type { Job, JobContext, JobQueue } from '../src/job-queue.ts'

/** Opens a queue over the same data again; `crash` ends the one before without closing it. */
export interface QueueUnderTest {
  open(): Promise<JobQueue>
  remove(): Promise<void>
}

/** Resolves once a job has ended. */
async function ended(queue: JobQueue, id: string): Promise<Job> {
  for (;;) {
    const job = await queue.status(id)
    if (job && (job.state === 'done' || job.state === 'failed')) return job
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** What every JobQueue owes. */
export function jobQueueContract(name: string, make: () => Promise<QueueUnderTest>): void {
  describe(`the job queue contract: ${name}`, () => {
    const made: { under: QueueUnderTest; queue: JobQueue }[] = []
    const start = async (): Promise<{ under: QueueUnderTest; queue: JobQueue }> => {
      const under = await make()
      const one = { under, queue: await under.open() }
      made.push(one)
      return one
    }
    afterEach(async () => {
      const all = made.splice(0)
      for (const { queue } of all) await queue.close()
      for (const { under } of all) await under.remove()
    })

    test('runs a job with its payload and keeps its result', async () => {
      const { queue } = await start()
      await queue.work<{ n: number }>('sums', async (job) => job.payload.n + 1)
      const { id } = await queue.enqueue('sums', { n: 41 })
      expect(await ended(queue, id)).toMatchObject({ state: 'done', result: 42, attempt: 1, error: null })
    })

    test('tries a failing job again until its attempts are used up', async () => {
      const { queue } = await start()
      let runs = 0
      await queue.work('fails', async () => {
        runs++
        throw new Error('no luck')
      })
      const { id } = await queue.enqueue('fails', null, { attempts: 3, backoffMs: 1 })
      expect(await ended(queue, id)).toMatchObject({ state: 'failed', attempt: 3, error: 'no luck' })
      expect(runs).toBe(3)
    })

    test('runs jobs that have to be alone one at a time, whoever works', async () => {
      const { queue } = await start()
      let running = 0
      let most = 0
      const handler = async (_job: Job, context: JobContext): Promise<void> => {
        most = Math.max(most, ++running)
        await context.progress({ done: 1, total: 1 })
        running--
      }
      for (let worker = 0; worker < 3; worker++) await queue.work('alone', handler, { alone: true })
      const jobs = await Promise.all(Array.from({ length: 12 }, (_, index) => queue.enqueue('alone', index)))
      for (const { id } of jobs) expect(await ended(queue, id)).toMatchObject({ state: 'done' })
      expect(most).toBe(1)
    })

    test('returns the same job for the same key, also when it is done', async () => {
      const { queue } = await start()
      let runs = 0
      await queue.work('once', async () => ++runs)
      const [first, second] = await Promise.all([
        queue.enqueue('once', 1, { key: 'a' }),
        queue.enqueue('once', 1, { key: 'a' }),
      ])
      expect(second.id).toBe(first.id)
      await ended(queue, first.id)
      expect((await queue.enqueue('once', 1, { key: 'a' })).id).toBe(first.id)
      expect((await queue.enqueue('once', 1, { key: 'b' })).id).not.toBe(first.id)
    })

    test('takes a key again once its job has failed, and keeps both jobs', async () => {
      const { queue } = await start()
      await queue.work('again', async () => Promise.reject(new Error('no luck')))
      const first = await queue.enqueue('again', 1, { key: 'a:0', attempts: 1 })
      await ended(queue, first.id)
      const second = await queue.enqueue('again', 2, { key: 'a:0', attempts: 1 })
      await ended(queue, second.id)
      expect((await queue.list('again')).map(({ id, state }) => [id, state])).toEqual([
        [second.id, 'failed'],
        [first.id, 'failed'],
      ])
    })

    test('keeps the keys of different queues apart, and keys of any text', async () => {
      const { queue } = await start()
      const key = `1:\u0000 ${'ä'.repeat(190)}`
      const one = await queue.enqueue('left', 'l', { key })
      const other = await queue.enqueue('right', 'r', { key })
      expect(other.id).not.toBe(one.id)
      expect((await queue.enqueue('left', 'again', { key })).id).toBe(one.id)
      expect([await queue.status(one.id), await queue.status(other.id)]).toEqual([one, other])
    })

    test('gives a job up at once when trying again cannot help', async () => {
      const { queue } = await start()
      await queue.work('hopeless', async () => Promise.reject(new PipelineError('INVALID_REQUEST', 'No such app.')))
      const { id } = await queue.enqueue('hopeless', null)
      expect(await ended(queue, id)).toMatchObject({ state: 'failed', attempt: 1 })
    })

    test('says of a job that waits for its next attempt what went wrong', async () => {
      const { queue } = await start()
      const worker = await queue.work('hurt', async () => Promise.reject(new Error('no luck')))
      const { id } = await queue.enqueue('hurt', null, { backoffMs: 3600_000 })
      while ((await queue.status(id))?.error === null) await new Promise((resolve) => setImmediate(resolve))
      await worker.close()
      expect(await queue.status(id)).toMatchObject({ state: 'waiting', attempt: 1, error: 'no luck', finishedAt: null })
    })

    test('keeps jobs, progress and results over a close', async () => {
      const { under, queue } = await start()
      const worker = await queue.work('kept', async (_job, context) => {
        await context.progress({ done: 1, total: 2, note: 'half', checkpoint: { line: 7 } })
        return 'whole'
      })
      const done = await queue.enqueue('kept', null)
      await ended(queue, done.id)
      await worker.close()
      const waiting = await queue.enqueue('kept', 'later')
      await queue.close()
      const again = await under.open()
      made.push({ under, queue: again })
      expect(await again.status(done.id)).toMatchObject({
        state: 'done',
        result: 'whole',
        progress: { checkpoint: { line: 7 } },
      })
      expect(await again.status(waiting.id)).toMatchObject({ state: 'waiting', payload: 'later' })
    })

    test('keeps no checkpoint of a job that has failed, in memory or over a close', async () => {
      const { under, queue } = await start()
      await queue.work('salted', async (_job, context) => {
        await context.progress({ done: 1, total: null, note: 'one', checkpoint: { salts: ['canary'] } })
        throw new Error('no luck')
      })
      const { id } = await queue.enqueue('salted', null, { attempts: 2, backoffMs: 1 })
      const failed = await ended(queue, id)
      expect(failed.progress).toEqual({ done: 1, total: null, note: 'one' })
      await queue.close()
      const again = await under.open()
      made.push({ under, queue: again })
      expect(await again.status(id)).toEqual(failed)
    })

    test('gives a job back when it closes, without using up an attempt', async () => {
      const { under, queue } = await start()
      let began: () => void = () => undefined
      const running = new Promise<void>((resolve) => (began = resolve))
      await queue.work('long', async (_job, { signal }) => {
        began()
        await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped'))))
      })
      const { id } = await queue.enqueue('long', null)
      await running
      await queue.close()
      const again = await under.open()
      made.push({ under, queue: again })
      expect(await again.status(id)).toMatchObject({ state: 'waiting', attempt: 0 })
    })

    test('goes on from its checkpoint after a close', async () => {
      const { under, queue } = await start()
      let began: () => void = () => undefined
      const running = new Promise<void>((resolve) => (began = resolve))
      await queue.work('far', async (_job, context) => {
        await context.progress({ done: 3, total: 9, checkpoint: { line: 3 } })
        began()
        await new Promise((_resolve, reject) =>
          context.signal.addEventListener('abort', () => reject(new Error('stopped'))),
        )
      })
      const { id } = await queue.enqueue('far', null, { attempts: 1 })
      await running
      await queue.close()
      const again = await under.open()
      made.push({ under, queue: again })
      await again.work('far', async (job) => job.progress)
      const result = { done: 3, total: 9, checkpoint: { line: 3 } }
      expect(await ended(again, id)).toMatchObject({ state: 'done', attempt: 1, result, error: null })
    })

    test('runs a job once its time has come', async () => {
      const { queue } = await start()
      await queue.work('soon', async () => Date.now())
      const runAt = Date.now() + 40
      const { id } = await queue.enqueue('soon', null, { runAt })
      expect((await ended(queue, id)).result).toBeGreaterThanOrEqual(runAt)
    })

    test('does not run a job before its time', async () => {
      const { queue } = await start()
      const order: string[] = []
      const later = await queue.enqueue('times', 'later', { runAt: Date.now() + 3600_000 })
      const now = await queue.enqueue('times', 'now')
      await queue.work<string>('times', async (job) => void order.push(job.payload))
      await ended(queue, now.id)
      expect(order).toEqual(['now'])
      expect(await queue.status(later.id)).toMatchObject({ state: 'waiting' })
    })

    test('runs as many at a time as asked, and no more', async () => {
      const { queue } = await start()
      let running = 0
      let most = 0
      const release: (() => void)[] = []
      await queue.work(
        'wide',
        async () => {
          most = Math.max(most, ++running)
          await new Promise<void>((resolve) => release.push(resolve))
          running--
        },
        { concurrency: 2 },
      )
      const jobs = await Promise.all([1, 2, 3, 4].map((n) => queue.enqueue('wide', n)))
      while (running < 2) await new Promise((resolve) => setImmediate(resolve))
      let over = 0
      const all = Promise.all(jobs.map(({ id }) => ended(queue, id).then(() => over++)))
      while (over < jobs.length) {
        release.shift()?.()
        await new Promise((resolve) => setImmediate(resolve))
      }
      await all
      expect(most).toBe(2)
    })

    test('lets a handler enqueue, and lists the newest first', async () => {
      const { queue } = await start()
      await queue.work<number>('chain', async (job) => {
        if (job.payload > 0) return (await queue.enqueue('chain', job.payload - 1)).id
        return 'end'
      })
      let { id } = await queue.enqueue('chain', 2)
      for (let step = 0; step < 2; step++) id = String((await ended(queue, id)).result)
      expect((await ended(queue, id)).result).toBe('end')
      expect((await queue.list('chain')).map(({ payload }) => payload)).toEqual([0, 1, 2])
      expect((await queue.list('chain', 2)).map(({ payload }) => payload)).toEqual([0, 1])
    })

    test('repeats on a schedule without doubling what still runs', async () => {
      const { queue } = await start()
      let runs = 0
      let tell: () => void = () => undefined
      const thrice = new Promise<void>((resolve) => (tell = resolve))
      await queue.work('beat', async () => {
        if (++runs === 3) tell()
      })
      await queue.schedule('beat', 'every', 1, null)
      await thrice
      expect((await queue.list('beat')).length).toBeLessThanOrEqual(1)
    })

    test('runs a schedule at once, and one that replaces it with its own payload', async () => {
      const { under, queue } = await start()
      const payloads: unknown[] = []
      const ran = async (payload: string): Promise<void> => {
        while (!payloads.includes(payload)) await new Promise((resolve) => setImmediate(resolve))
      }
      await queue.work('rare', async (job) => payloads.push(job.payload))
      await queue.schedule('rare', 'hourly', 3600_000, 'first')
      await ran('first')
      await queue.close()
      const again = await under.open()
      made.push({ under, queue: again })
      await again.schedule('rare', 'hourly', 1, 'second')
      await again.work('rare', async (job) => payloads.push(job.payload))
      await ran('second')
      expect(payloads.filter((payload) => payload === 'first')).toEqual(['first'])
    })

    test('takes no job once it is closed', async () => {
      const { queue } = await start()
      await queue.close()
      await expect(queue.enqueue('late', null)).rejects.toMatchObject({ code: 'NOT_READY' })
    })

    test('knows nothing of an unknown job', async () => {
      const { queue } = await start()
      expect(await queue.status('00000000-0000-4000-8000-000000000000')).toBeNull()
    })
  })
}
