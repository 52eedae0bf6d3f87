import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openEmbeddedJobQueue } from '../src/embedded.ts'
import { jobQueueContract } from './contract.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'footfall-jobs-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

jobQueueContract('embedded', async () => {
  const own = await mkdtemp(join(directory, 'queue-'))
  return {
    open: () => openEmbeddedJobQueue({ directory: own }),
    remove: () => rm(own, { recursive: true, force: true }),
  }
})

describe('the embedded job queue', () => {
  test('sets a torn file aside, reports it and goes on', async () => {
    const own = await mkdtemp(join(directory, 'torn-'))
    const before = await openEmbeddedJobQueue({ directory: own })
    const kept = await before.enqueue('a', 1)
    await before.close()
    await writeFile(join(own, 'job-half.json'), '{"id":"ha')
    await writeFile(join(own, 'job-other.json.new'), '{')
    const problems: string[] = []
    const queue = await openEmbeddedJobQueue({ directory: own, onProblem: (problem) => problems.push(problem) })
    expect(await queue.status(kept.id)).toMatchObject({ state: 'waiting' })
    expect(problems).toHaveLength(1)
    expect((await readdir(own)).sort()).toContain('job-half.json.unreadable')
    await queue.close()
  })

  test('forgets the checkpoint of a job whose last attempt the process did not survive', async () => {
    const own = await mkdtemp(join(directory, 'spent-'))
    const before = await openEmbeddedJobQueue({ directory: own })
    const { id } = await before.enqueue('a', 1, { attempts: 1 })
    await before.close()
    const file = join(own, `job-${id}.json`)
    const job = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
    const progress = { done: 1, total: null, checkpoint: { salts: ['canary'] } }
    await writeFile(file, JSON.stringify({ ...job, state: 'running', attempt: 1, progress }))
    const queue = await openEmbeddedJobQueue({ directory: own })
    expect(await queue.status(id)).toMatchObject({ state: 'failed', progress: { done: 1 } })
    expect(await readFile(file, 'utf8')).not.toContain('canary')
    await queue.close()
  })

  test('keeps to the newer job of a key when it starts again', async () => {
    const own = await mkdtemp(join(directory, 'keys-'))
    let time = 1
    const before = await openEmbeddedJobQueue({ directory: own, now: () => time++ })
    await before.work('a', async () => Promise.reject(new Error('no luck')))
    for (let round = 0; round < 8; round++) {
      const { id } = await before.enqueue('a', 1, { key: 'k', attempts: 1 })
      while ((await before.status(id))?.state !== 'failed') await new Promise((resolve) => setImmediate(resolve))
    }
    await before.close()
    const waiting = await openEmbeddedJobQueue({ directory: own, now: () => time++ })
    const { id } = await waiting.enqueue('a', 1, { key: 'k' })
    await waiting.close()
    const queue = await openEmbeddedJobQueue({ directory: own, now: () => time++ })
    expect((await queue.enqueue('a', 1, { key: 'k' })).id).toBe(id)
    await queue.close()
  })

  test('finishes every step of every job over up to twenty kills', { timeout: 120_000 }, async () => {
    const own = await mkdtemp(join(directory, 'kills-'))
    const script = join(own, 'worker.mjs')
    const effects = join(own, 'effects')
    await build({
      stdin: {
        contents: `
          import { appendFileSync } from 'node:fs'
          import { openEmbeddedJobQueue } from './embedded.ts'
          const queue = await openEmbeddedJobQueue({ directory: process.argv[2] })
          await queue.work('steps', async (job, context) => {
            for (let step = job.progress?.checkpoint?.step ?? 0; step < 5; step++) {
              appendFileSync(process.argv[3], job.payload + ':' + step + '\\n')
              await context.progress({ done: step + 1, total: 5, checkpoint: { step: step + 1 } })
            }
          })
          for (let n = 0; n < 150; n++) await queue.enqueue('steps', n, { key: String(n), attempts: 100 })
          process.stdout.write('queued\\n')
          const left = async () => (await queue.list('steps', 1000)).filter((job) => job.state !== 'done').length
          while ((await left()) > 0) await new Promise((resolve) => setTimeout(resolve, 5))
          process.exit(0)
        `,
        resolveDir: join(import.meta.dirname, '../src'),
        loader: 'ts',
      },
      bundle: true,
      format: 'esm',
      platform: 'node',
      outfile: script,
      logLevel: 'error',
    })
    const spool = join(own, 'spool')
    const seed = Number(process.env.SEED ?? Date.now() % 100_000)
    console.info(`seed ${seed}`)
    let random = seed
    for (let kill = 0; ; kill++) {
      const child = spawn(process.execPath, [script, spool, effects], { stdio: ['ignore', 'pipe', 'inherit'] })
      const code = await new Promise<number | null>((resolve) => {
        child.once('exit', resolve)
        if (kill >= 20) return
        random = (random * 1_103_515_245 + 12_345) % 2_147_483_648
        const delay = 60 + (random % 60)
        setTimeout(() => child.kill('SIGKILL'), delay)
      })
      if (code === 0) {
        expect(kill, 'kills that hit').toBeGreaterThanOrEqual(5)
        break
      }
    }
    const done = new Set((await readFile(effects, 'utf8')).trim().split('\n'))
    expect(done.size).toBe(150 * 5)
  })
})
