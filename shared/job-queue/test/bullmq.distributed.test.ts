import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startRedis, type RedisServer } from '../../../test/servers/redis.ts'
import { openBullJobQueue, type BullJobQueueOptions } from '../src/bullmq.ts'
import type { Job, JobQueue } from '../src/job-queue.ts'
import { openJobQueue } from '../src/open.ts'
import { jobQueueContract } from './contract.ts'

const unavailable = { code: 'JOB_QUEUE_UNAVAILABLE', retryable: true }
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await turn()
}
async function reached(queue: JobQueue, id: string, state: Job['state']): Promise<Job> {
  for (;;) {
    const job = await queue.status(id)
    if (job?.state === state) return job
    await turn()
  }
}
/** A promise and what resolves it. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open }
}
/** The keys of Redis with all that they hold, as text. */
async function readAll(url: string): Promise<string> {
  const client = new Redis(url)
  try {
    const seen: unknown[] = []
    for (const key of await client.keys('*')) {
      const read: Record<string, () => Promise<unknown>> = {
        string: () => client.get(key),
        hash: () => client.hgetall(key),
        list: () => client.lrange(key, 0, -1),
        set: () => client.smembers(key),
        zset: () => client.zrange(key, '0', '-1'),
        stream: () => client.xrange(key, '-', '+'),
      }
      seen.push(key, await read[await client.type(key)]!())
    }
    return JSON.stringify(seen)
  } finally {
    client.disconnect()
  }
}

describe('on a Redis that stays', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())

  let made = 0
  jobQueueContract('bullmq', async () => {
    const prefix = `contract-${++made}`
    return { open: () => openBullJobQueue({ url: redis.url, prefix }), remove: async () => undefined }
  })

  test('leaves nothing of the checkpoint of a failed job anywhere in its keys', async () => {
    const queue = await openBullJobQueue({ url: redis.url, prefix: 'salted' })
    await queue.work('salted', async (_job, context) => {
      await context.progress({ done: 1, total: null, checkpoint: { salts: ['canary'] } })
      expect(await readAll(redis.url)).toContain('canary')
      throw new Error('no luck')
    })
    const { id } = await queue.enqueue('salted', null, { attempts: 1 })
    expect(await reached(queue, id, 'failed')).toMatchObject({ error: 'no luck', progress: { done: 1 } })
    expect(await readAll(redis.url)).not.toContain('canary')
    await queue.close()
  })

  test('keeps the time of a schedule over a close', async () => {
    const open = (): Promise<JobQueue> => openBullJobQueue({ url: redis.url, prefix: 'rare' })
    const payloads: unknown[] = []
    for (const round of ['first', 'second']) {
      const queue = await open()
      await queue.schedule('rare', 'hourly', 3600_000, round)
      await queue.work('rare', async ({ payload }) => payloads.push(payload))
      await until(() => payloads.includes('first'))
      const { id } = await queue.enqueue('rare', 'other')
      await reached(queue, id, 'done')
      await queue.close()
    }
    expect(payloads).toEqual(['first', 'other', 'other'])
  })

  test('runs each repetition once, whoever of several workers looks', async () => {
    const all = await Promise.all([1, 2, 3].map(() => openBullJobQueue({ url: redis.url, prefix: 'many' })))
    let running = 0
    let most = 0
    let runs = 0
    for (const queue of all) {
      await queue.schedule('many', 'beat', 1, null)
      await queue.work('many', async () => {
        most = Math.max(most, ++running)
        runs++
        await turn()
        running--
      })
    }
    await until(() => runs >= 30)
    await Promise.all(all.map((queue) => queue.close()))
    expect(most).toBe(1)
  })

  test('enqueues one job for a key that several ask for at once', async () => {
    const all = await Promise.all([1, 2, 3].map(() => openBullJobQueue({ url: redis.url, prefix: 'same' })))
    const asked = Array.from({ length: 30 }, (_, n) => all[n % 3]!.enqueue('same', n, { key: 'k' }))
    expect(new Set((await Promise.all(asked)).map(({ id }) => id)).size).toBe(1)
    expect(await all[0]!.list('same')).toHaveLength(1)
    await Promise.all(all.map((queue) => queue.close()))
  })

  test('asking after a job of a queue that there is not writes nothing', async () => {
    const queue = await openBullJobQueue({ url: redis.url, prefix: 'unwritten' })
    expect(await queue.status('made-up-0198f0a0-0000-7000-8000-000000000000')).toBeNull()
    expect(await readAll(redis.url)).not.toContain('unwritten')
    await queue.close()
  })
})

describe('when a worker dies', () => {
  let redis: RedisServer
  let directory: string
  let script: string
  beforeAll(async () => {
    redis = await startRedis()
    directory = await mkdtemp(join(tmpdir(), 'footfall-worker-'))
    script = join(directory, 'worker.cjs')
    await build({
      stdin: {
        contents: `
          import { openBullJobQueue } from './bullmq.ts'
          openBullJobQueue({ url: process.argv[2], lockMs: 300 }).then((queue) =>
            queue.work('steps', async (job, context) => {
              await context.progress({ done: 1, total: 2, checkpoint: { step: job.attempt } })
              process.stdout.write('halfway')
              await new Promise(() => {})
            }),
          )
        `,
        resolveDir: join(import.meta.dirname, '../src'),
        loader: 'ts',
      },
      bundle: true,
      format: 'cjs',
      platform: 'node',
      outfile: script,
      logLevel: 'error',
    })
  })
  afterAll(async () => {
    await redis.stop()
    await rm(directory, { recursive: true, force: true })
  })
  const startWorker = (): ChildProcess =>
    spawn(process.execPath, [script, redis.url], { stdio: ['ignore', 'pipe', 'inherit'] })

  test('another one runs its job again, from its checkpoint, as the next attempt', async () => {
    const queue = await openBullJobQueue({ url: redis.url, lockMs: 300 })
    const { id } = await queue.enqueue('steps', null)
    const child = startWorker()
    await once(child.stdout!, 'data')
    expect(await queue.status(id)).toMatchObject({ state: 'running', attempt: 1 })
    child.kill('SIGKILL')
    await once(child, 'exit')
    await queue.work('steps', async ({ attempt, progress, error }) => ({ attempt, progress, error }))
    expect(await reached(queue, id, 'done')).toMatchObject({
      attempt: 2,
      result: {
        attempt: 2,
        progress: { done: 1, total: 2, checkpoint: { step: 1 } },
        error: 'the process ended while it ran',
      },
    })
    await queue.close()
  })

  test('a job whose last attempt it was has failed, without its checkpoint, and does not run', async () => {
    const queue = await openBullJobQueue({ url: redis.url, lockMs: 300 })
    const { id } = await queue.enqueue('steps', null, { attempts: 1 })
    const child = startWorker()
    await once(child.stdout!, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    let runs = 0
    await queue.work('steps', async () => ++runs)
    const failed = await reached(queue, id, 'failed')
    expect(failed).toMatchObject({ attempt: 1, error: 'the process ended while it ran' })
    expect(failed.progress).toEqual({ done: 1, total: 2 })
    expect(runs).toBe(0)
    await queue.close()
  })
})

describe('when Redis goes', () => {
  let redis: RedisServer
  const opened: JobQueue[] = []
  beforeEach(async () => {
    redis = await startRedis()
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((queue) => queue.close()))
    await redis.stop()
  })
  const open = async (options: Partial<BullJobQueueOptions> = {}): Promise<JobQueue> => {
    const queue = await openBullJobQueue({ url: redis.url, answerMs: 500, ...options })
    opened.push(queue)
    return queue
  }

  test('nothing enqueued is lost and everything runs, however often it is killed', async () => {
    const queue = await open({ lockMs: 1_000 })
    const ran = new Set<unknown>()
    await queue.work('steps', async ({ payload }) => void ran.add(payload), { concurrency: 4 })
    const queued: number[] = []
    for (let kill = 0; kill < 3; kill++) {
      let refused = false
      const enqueueAll = async (): Promise<void> => {
        for (let n = kill * 10_000; !refused; n++) {
          await queue.enqueue('steps', n).then(
            () => queued.push(n),
            (error: unknown) => {
              expect(error).toMatchObject(unavailable)
              refused = true
            },
          )
        }
      }
      const before = queued.length
      const enqueued = enqueueAll()
      await until(() => queued.length > before + 50)
      await redis.kill()
      await enqueued
      await redis.restart()
    }
    expect(queued.length).toBeGreaterThan(150)
    await until(() => queued.every((n) => ran.has(n)))
  })

  test('what is asked for is refused, and taken once it is back', async () => {
    const queue = await open()
    const kept = await queue.enqueue('steps', 1, { key: 'k' })
    await redis.kill()
    await expect(queue.enqueue('steps', 2)).rejects.toMatchObject(unavailable)
    await expect(queue.enqueue('steps', 2, { key: 'l' })).rejects.toMatchObject(unavailable)
    await expect(queue.schedule('steps', 's', 1, null)).rejects.toMatchObject(unavailable)
    await expect(queue.status(kept.id)).rejects.toMatchObject(unavailable)
    await expect(queue.list('steps')).rejects.toMatchObject(unavailable)
    await redis.restart()
    expect((await queue.enqueue('steps', 1, { key: 'k' })).id).toBe(kept.id)
    const next = await queue.enqueue('steps', 3)
    expect((await queue.list('steps')).map(({ id }) => id)).toEqual([next.id, kept.id])
  })

  test('what is asked for is refused while it is silent', async () => {
    const queue = await open()
    await queue.enqueue('steps', 1)
    redis.freeze()
    await expect(queue.enqueue('steps', 2)).rejects.toMatchObject(unavailable)
    redis.thaw()
    await queue.enqueue('steps', 3)
  })

  test('a run that it cut off does not count, and a worker goes on by itself', async () => {
    const queue = await open({ lockMs: 600 })
    const runs: unknown[] = []
    const killed = gate()
    await queue.work('steps', async ({ attempt, progress }, context) => {
      runs.push([attempt, progress?.checkpoint])
      await context.progress({ done: 1, total: 2, checkpoint: runs.length })
      if (runs.length === 1) {
        await redis.kill()
        killed.open()
        await context.progress({ done: 2, total: 2 })
      }
    })
    const { id } = await queue.enqueue('steps', null, { attempts: 1, backoffMs: 1 })
    await killed.opened
    // Longer than its lock, so that it has to take that again: twice refused, each after `answerMs`.
    for (let n = 0; n < 2; n++) await expect(queue.enqueue('steps', n)).rejects.toMatchObject(unavailable)
    await redis.restart()
    expect(await reached(queue, id, 'done')).toMatchObject({ attempt: 1 })
    expect(runs).toEqual([
      [1, undefined],
      [1, 1],
    ])
  })

  test('a result that could not be written is written once it is back, and the job does not run twice', async () => {
    const queue = await open({ lockMs: 600 })
    let runs = 0
    const killed = gate()
    await queue.work('steps', async () => {
      await redis.kill()
      killed.open()
      return ++runs
    })
    const { id } = await queue.enqueue('steps', null)
    await killed.opened
    for (let n = 0; n < 2; n++) await expect(queue.enqueue('steps', n)).rejects.toMatchObject(unavailable)
    await redis.restart()
    expect(await reached(queue, id, 'done')).toMatchObject({ attempt: 1, result: 1 })
    expect(runs).toBe(1)
  })

  test('a queue closes while it is away, and the job in hand runs again', async () => {
    const queue = await open({ lockMs: 300 })
    const began = gate()
    await queue.work('steps', async (_job, { signal }) => {
      began.open()
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped'))))
    })
    const { id } = await queue.enqueue('steps', null)
    await began.opened
    await redis.kill()
    await queue.close()
    await redis.restart()
    const again = await open({ lockMs: 300 })
    await again.work('steps', async () => 'whole')
    expect(await reached(again, id, 'done')).toMatchObject({ result: 'whole' })
  })

  test('a full memory refuses jobs, lets the one in hand come to its end, and loses none whose time comes', async () => {
    const problems: string[] = []
    const queue = await open({ onProblem: (problem) => problems.push(problem) })
    const full = gate()
    const began = gate()
    await queue.work<string>('steps', async ({ payload }, context) => {
      began.open()
      if (payload !== 'in hand') return
      await full.opened
      await context.progress({ done: 1, total: 1 })
    })
    const inHand = await queue.enqueue('steps', 'in hand')
    await began.opened
    const waiting = await queue.enqueue('steps', 'waiting')
    const runAt = Date.now() + 300
    const later = await Promise.all([1, 2, 3].map((n) => queue.enqueue('steps', n, { runAt })))
    await redis.send('CONFIG', 'SET', 'maxmemory', '1')
    await expect(queue.enqueue('steps', 'more')).rejects.toMatchObject(unavailable)
    await expect(queue.enqueue('steps', 'more', { key: 'k' })).rejects.toMatchObject(unavailable)
    await expect(queue.schedule('steps', 's', 1, null)).rejects.toMatchObject(unavailable)
    full.open()
    expect(await reached(queue, inHand.id, 'done')).toMatchObject({ attempt: 1, progress: { done: 1 } })
    await until(() => problems.some((problem) => problem.includes('OOM')) && Date.now() > runAt)
    await redis.send('CONFIG', 'SET', 'maxmemory', '0')
    for (const { id } of [waiting, ...later]) expect(await reached(queue, id, 'done')).toMatchObject({ attempt: 1 })
    expect(await queue.list('steps')).toHaveLength(5)
  })

  test('a server that only reads refuses jobs, and takes them once it is the primary', async () => {
    const queue = await open()
    await redis.send('REPLICAOF', '127.0.0.1', '1')
    await expect(queue.enqueue('steps', 1)).rejects.toMatchObject(unavailable)
    await redis.send('REPLICAOF', 'NO', 'ONE')
    const { id } = await queue.enqueue('steps', 2)
    await queue.work('steps', async () => 'done')
    expect(await reached(queue, id, 'done')).toMatchObject({ payload: 2 })
  })
})

describe('at its start', () => {
  const wrong = [
    ['that evicts', { 'maxmemory-policy': 'allkeys-lru' }, 'set maxmemory-policy to noeviction (it is allkeys-lru)'],
    ['without an append-only file', { appendonly: 'no', save: '60 1' }, 'set appendonly to yes'],
    [
      'that forbids CONFIG and evicts',
      { 'maxmemory-policy': 'volatile-ttl', 'rename-command': 'CONFIG forbidden' },
      'set maxmemory-policy to noeviction (it is volatile-ttl)',
    ],
  ] as const
  test.each(wrong)('a Redis %s is refused, with what to set', async (_what, settings, text) => {
    const redis = await startRedis(settings)
    try {
      const opening = openJobQueue(redis.url)
      await expect(opening).rejects.toMatchObject({ code: 'JOB_QUEUE_UNAVAILABLE', retryable: false })
      await expect(opening).rejects.toThrow(text)
    } finally {
      await redis.stop()
    }
  })

  test('user, password and database are those of the URL, and the password is never told', async () => {
    const redis = await startRedis({ requirepass: 'se:cret@/' })
    const problems: string[] = []
    const onProblem = (problem: string): void => void problems.push(problem)
    const at = (user: string, path: string): string => `redis://${user}@127.0.0.1:${redis.port}${path}`
    const queue = await openJobQueue(at('default:se%3Acret%40%2F', '/3'), { onProblem })
    await queue.enqueue('steps', 'in three')
    const client = new Redis({ port: redis.port, password: 'se:cret@/' })
    expect(await client.info('keyspace')).toMatch(/^db3:/m)
    expect(await client.info('keyspace')).not.toMatch(/^db0:/m)
    client.disconnect()
    await redis.kill()
    const away = await queue.enqueue('steps', 2).catch(String)
    await queue.close()
    await redis.restart()
    const refused = await openJobQueue(at('default:wrong-one', ''), { onProblem }).catch(String)
    const odd = await openJobQueue(at('default:wrong-one', '/x'), { onProblem }).catch(String)
    const unread = await openJobQueue('redis://default:wrong-one@ho st', { onProblem }).catch(String)
    await redis.stop()
    expect(away).toContain('127.0.0.1')
    expect(refused).toContain('WRONGPASS')
    for (const text of [away, refused, odd, unread, ...problems]) {
      expect(text).not.toContain('cret')
      expect(text).not.toContain('wrong-one')
    }
  })

  test('a Redis that is away is an error that says so, not a wait', async () => {
    const redis = await startRedis()
    await redis.stop()
    await expect(openJobQueue(redis.url)).rejects.toMatchObject(unavailable)
  })
})
