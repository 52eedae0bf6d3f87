import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'

const token = 'start-test-token-0000'
const entry = join(findRoot(), 'dist/footfall.js')
let root: string
let made = 0
const children: ChildProcess[] = []

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'footfall-start-'))
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})
afterAll(() => rm(root, { recursive: true, force: true }))

const environment = (directory: string): NodeJS.ProcessEnv => ({
  ...process.env,
  DATA_DIR: directory,
  PORT: '0',
  ADMIN_TOKEN: token,
  FLUSH_INTERVAL_MS: '10',
  LOG_LEVEL: 'silent',
})

/** The real command, once it has printed its link. */
async function start(more: NodeJS.ProcessEnv = {}) {
  const directory = join(root, `data-${++made}`)
  const child = spawn(process.execPath, [entry, 'start'], {
    env: { ...environment(directory), ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  let output = ''
  let wake: () => void = () => undefined
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8')
      wake()
    })
  }
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const says = async (text: string): Promise<void> => {
    while (!output.includes(text)) await new Promise<void>((resolve) => (wake = resolve))
  }
  await says('Stop with Ctrl-C.')
  return { child, directory, ended, says, output: () => output }
}

/** Stops the engine's process in the middle of a batch: whoever waits for the store waits long. */
async function freezeStore(child: ChildProcess, directory: string): Promise<void> {
  const { url } = JSON.parse(await readFile(join(directory, 'server.json'), 'utf8')) as { url: string }
  const headers = { authorization: `Bearer ${token}` }
  const ask = async (path: string) => fetch(url + path, { headers })
  while ((await ask('/api/v1/ledger')).status !== 200);
  const engine = Number(spawnSync('pgrep', ['-P', String(child.pid)], { encoding: 'utf8' }).stdout.trim())
  process.kill(engine, 'SIGSTOP')
  const { deployments } = (await (await ask('/api/v1/registry')).json()) as { deployments: { keys: string[] }[] }
  const event = { id: randomUUID(), name: 'page_view', at: Date.now(), url: 'http://localhost/' }
  const sent = await fetch(`${url}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain', origin: 'http://localhost', 'user-agent': 'Mozilla/5.0 Firefox/128.0' },
    body: JSON.stringify({ key: deployments[0]!.keys[0], sent_at: Date.now(), events: [event] }),
  })
  expect(await sent.json()).toMatchObject({ accepted: 1 })
}

test('the token is said to be where it is', async () => {
  const own = await start()
  expect(own.output()).toContain('sign in with the token that ADMIN_TOKEN holds')
  const made = await start({ ADMIN_TOKEN: '' })
  expect(made.output()).toContain(`sign in with the token in ${join(made.directory, 'admin-token')}`)
  for (const { child, ended } of [own, made]) {
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
  }
})

test('a shutdown that a frozen store holds up ends after its limit, and says that nothing is lost', async () => {
  const { child, directory, ended, output } = await start()
  await freezeStore(child, directory)
  child.kill('SIGTERM')
  expect(await ended).toBe(1)
  expect(output()).toContain('Nothing is lost')
})

test('a second interrupt ends a shutdown at once', async () => {
  const { child, directory, ended, says, output } = await start()
  await freezeStore(child, directory)
  child.kill('SIGINT')
  await says('Stopping')
  const again = setInterval(() => child.kill('SIGINT'), 50)
  expect(await ended).toBe(1)
  clearInterval(again)
  expect(output()).not.toContain('Nothing is lost')
})

const startAlone = (...args: string[]) =>
  spawnSync(process.execPath, [entry, 'start', ...args], {
    env: environment(join(root, 'none')),
    encoding: 'utf8',
    timeout: 30_000,
  })

test.each(['ingest', 'ingest --drain-only', 'consumer', 'console', 'jobs'])(
  'a service alone ends at once when its log, store or queue is a directory: %s',
  (args) => {
    expect(startAlone(...args.split(' '))).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(
        /(EVENT_LOG_URL|STORE_URL|JOB_QUEUE_URL): a service that runs alone needs/,
      ) as string,
    })
  },
)

test('a service that there is not is refused, with those that there are', () => {
  expect(startAlone('ingests')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('There is no service "ingests"; there are ingest, consumer') as string,
  })
})
