import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { openSharedSalts } from '@footfall/ingest/shared-salts'
import { openSalts } from '@footfall/ingest/salts'
import { openJobQueue } from '@footfall/job-queue/open'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { freePort } from '../servers/free-port.ts'

const { services } = parse(readFileSync(join(findRoot(), 'docker-compose.yml'), 'utf8'), { merge: true }) as {
  services: Record<'redis-jobs' | 'redis-salts', { command: string[] }>
}
let root: string
let jobsPort: number
let saltsPort: number
const closers: (() => Promise<unknown>)[] = []
const secret = (path: string): string => readFileSync(join(root, path), 'utf8').trim()

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'footfall-compose-'))
  expect(spawnSync('sh', [join(findRoot(), 'infra/docker/make-secrets.sh'), root]).status).toBe(0)
  jobsPort = await start('redis-jobs')
  saltsPort = await start('redis-salts')
})
afterAll(async () => {
  for (const close of closers.reverse()) await close()
  rmSync(root, { recursive: true, force: true })
})

/** The command of the compose file with the secrets that the compose file makes; its port. */
async function start(name: keyof typeof services): Promise<number> {
  const port = await freePort()
  const [program, ...args] = services[name].command.map((arg) => arg.replace('/run/secrets', join(root, name)))
  const data = join(root, `${name}-data`)
  mkdirSync(data)
  const child = spawn(program!, [...args, '--port', String(port), '--bind', '127.0.0.1'], {
    cwd: data,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = once(child, 'exit')
  closers.push(async () => {
    child.kill('SIGKILL')
    await gone
  })
  let said = ''
  for await (const chunk of child.stdout)
    if ((said += String(chunk)).includes('Ready to accept connections')) return port
  throw new Error(`${name}: ${said}`)
}
const at = (url: string, port: number): string => {
  const local = new URL(url)
  local.host = `127.0.0.1:${port}`
  return local.href
}

test('the jobs’ Redis of the compose file is one that the job queue takes, and only with its password', async () => {
  const queue = await openJobQueue(at(secret('writer/job_queue_url'), jobsPort))
  closers.push(() => queue.close())
  await expect(queue.enqueue('work', { kind: 'fold' })).resolves.toMatchObject({ state: 'waiting' })
  await expect(openJobQueue(`redis://127.0.0.1:${jobsPort}`)).rejects.toThrow(/NOAUTH|Authentication/i)
})

test('the salts’ Redis of the compose file is one that the ingests take', async () => {
  const problems: string[] = []
  const shared = openSharedSalts(at(secret('ingest/salt_redis_url'), saltsPort), {
    onProblem: (text) => problems.push(text),
  })
  closers.push(() => shared.close())
  const deployment = { id: 'app', today: '2026-05-04', isNew: true }
  await expect(
    shared.exchange(openSalts(join(root, 'salts.json'), shared.offer), [deployment]),
  ).resolves.toBeUndefined()
  expect(problems).toEqual([])
  // One that keeps jobs is refused.
  const jobs = openSharedSalts(at(secret('writer/job_queue_url'), jobsPort), { onProblem: () => undefined })
  closers.push(() => jobs.close())
  await expect(jobs.exchange(openSalts(join(root, 'others.json'), jobs.offer), [deployment])).rejects.toThrow(
    'writes salts to its disk',
  )
})
