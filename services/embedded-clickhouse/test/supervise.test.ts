import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@clickhouse/client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { superviseEmbeddedClickHouse, type SuperviseOptions } from '../src/supervise.ts'

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'footfall-supervise-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

/** An engine of its own, and what was told of it. */
const supervise = async (name: string, more: Partial<SuperviseOptions> = {}) => {
  const told: (string | null)[] = []
  let wake: () => void = () => undefined
  const engine = await superviseEmbeddedClickHouse({
    directory: join(root, name),
    onProblem: (problem) => {
      told.push(problem)
      wake()
    },
    ...more,
  })
  const hears = async (isIt: () => boolean): Promise<void> => {
    while (!isIt()) await new Promise<void>((resolve) => (wake = resolve))
  }
  return { engine, told, hears }
}
/** Puts a file where the engine's directory was: it can no longer start. */
const takeAway = async (name: string): Promise<void> => {
  await rename(join(root, name), join(root, `${name}.away`))
  await writeFile(join(root, name), '')
}

test('an engine that cannot start is tried for ever, and is back once it can', async () => {
  const { engine, told, hears } = await supervise('store')
  await takeAway('store')
  process.kill(engine.pid()!, 'SIGKILL')
  // It was given up after five.
  await hears(() => told.filter((problem) => problem?.includes('cannot be started: ENOTDIR')).length > 5)
  await rm(join(root, 'store'))
  await rename(join(root, 'store.away'), join(root, 'store'))
  await hears(() => told.at(-1) === null)
  expect(await (await fetch(`${engine.url}/ping`)).text()).toBe('Ok.\n')
  await engine.close()
})

test('closed between a death and the next start, it starts nothing', async () => {
  const { engine, told, hears } = await supervise('closed')
  await takeAway('closed')
  process.kill(engine.pid()!, 'SIGKILL')
  await hears(() => told.length > 1)
  await engine.close()
  const before = told.length
  await engine.close()
  expect([engine.pid(), told.length]).toEqual([null, before])
})

test('a first start that fails is told at once, and leaves nothing running', async () => {
  await writeFile(join(root, 'file'), '')
  await expect(supervise('file')).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: expect.stringContaining('ENOTDIR') as string,
  })
})

test('a start that waits for another owner ends when it is no longer wanted', async () => {
  const { engine } = await supervise('held')
  const abort = new AbortController()
  let wait: () => void = () => undefined
  const waits = new Promise<void>((resolve) => (wait = resolve))
  // The engine says on stderr that the directory is held, again and again.
  const second = supervise('held', { signal: abort.signal, lockWaitMs: 3600_000, onLog: () => wait() })
  await Promise.race([waits, second])
  abort.abort()
  await expect(second).rejects.toThrow('SIGKILL')
  await engine.close()
})

test('a busy engine is not taken for a dead one', async () => {
  const { engine, told } = await supervise('busy', { probeEveryMs: 250 })
  const client = createClient({ url: engine.url, username: engine.user, password: engine.password })
  // More than run at a time, for longer than four deadlines.
  await Promise.all(
    Array.from({ length: 12 }, () => client.query({ query: 'SELECT sleep(1.5)' }).then((r) => r.text())),
  )
  expect([engine.restarts(), told]).toEqual([0, []])
  await client.close()
  await engine.close()
})
