import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '@footfall/config/config'
import { openStore } from '@footfall/store/open'
import { createLogger } from '@footfall/telemetry/logger'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sendPageView } from '../../../test/send-page-view.ts'
import { startStandalone, type Standalone } from '../src/start.ts'

const token = 'store-away-test-token-0000'
let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'footfall-away-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const start = (directory: string, more: Record<string, string> = {}): Promise<Standalone> =>
  startStandalone(
    readConfig({
      DATA_DIR: directory,
      PORT: '0',
      ADMIN_TOKEN: token,
      FLUSH_INTERVAL_MS: '10',
      LOG_LEVEL: 'silent',
      ...more,
    }),
    { logger: createLogger('silent') },
  )
const ask = async <Answer>({ url }: Standalone, path: string, body?: unknown): Promise<Answer> => {
  const response = await fetch(url + path, {
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
  })
  expect(response.ok, `${path}: ${response.status}`).toBe(true)
  return (await response.json()) as Answer
}
const send = async (footfall: Standalone): Promise<void> => {
  const { deployments } = await ask<{ deployments: { keys: string[] }[] }>(footfall, '/api/v1/registry')
  expect(await sendPageView(footfall.url, deployments[0]!.keys[0]!)).toMatchObject({ accepted: 1 })
}
const isReady = async ({ url }: Standalone): Promise<string | undefined> =>
  /footfall_ready\{part="store"\} (\d)/.exec(await (await fetch(`${url}/metrics`)).text())?.[1]
/** The first board, as somebody sees it who has signed in. */
const readBoard = async (footfall: Standalone): Promise<string> => {
  const signedIn = await fetch(footfall.signInLink(), { redirect: 'manual' })
  const cookie = signedIn.headers.getSetCookie()[0]!.split(';')[0]!
  return (await fetch(`${footfall.url}/`, { headers: { cookie } })).text()
}
const boardSays = async (footfall: Standalone, ...words: readonly string[]): Promise<void> => {
  for (;;) {
    const page = await readBoard(footfall)
    if (words.every((word) => page.includes(word))) return
  }
}

test('a store that cannot start leaves ingest ready, is named, and takes everything once it can', async () => {
  const directory = join(root, 'unusable')
  await mkdir(directory)
  await writeFile(join(directory, 'store'), 'a file where the directory should be')
  const footfall = await start(directory)
  expect((await fetch(`${footfall.url}/readyz`)).status).toBe(200)
  await send(footfall)
  expect(await isReady(footfall)).toBe('0')
  await boardSays(footfall, 'ENOTDIR', 'kept in the log')
  await rm(join(directory, 'store'))
  await footfall.storeReady
  expect(await isReady(footfall)).toBe('1')
  const ledger = () => ask<{ in_log: number; stored: number }>(footfall, '/api/v1/ledger')
  while ((await ledger()).in_log > 0);
  expect((await ledger()).stored).toBe(1)
  await footfall.close()
})

test('a store of a newer version is told plainly, and events are taken all the same', async () => {
  const directory = join(root, 'newer')
  const older = await start(directory, { STORE_PASSWORD: 'test' })
  await older.storeReady
  await send(older)
  while ((await ask<{ in_log: number }>(older, '/api/v1/ledger')).in_log > 0);
  const { storePort } = JSON.parse(await readFile(join(directory, 'server.json'), 'utf8')) as { storePort: number }
  const store = openStore({ url: `http://127.0.0.1:${storePort}/footfall`, user: 'default', password: 'test' })
  await store.insert('migrations', ['id', 'checksum', 'applied_at'], [['9999-later', 'x', Date.now()]], null)
  await store.close()
  await older.close()
  const footfall = await start(directory)
  await boardSays(footfall, 'newer version', '9999-later', 'restore a backup')
  await send(footfall)
  // What the store has is not waiting, although nobody consumes.
  expect(await ask(footfall, '/api/v1/ledger')).toMatchObject({ accepted: 2, stored: 1, in_log: 1 })
  await footfall.close()
})

test('a shutdown does not wait for a backup that waits for a store that is away', async () => {
  const directory = join(root, 'waiting')
  const footfall = await start(directory)
  await footfall.storeReady
  await rename(join(directory, 'store'), join(directory, 'store.away'))
  await writeFile(join(directory, 'store'), '')
  process.kill(footfall.storePid()!, 'SIGKILL')
  await send(footfall)
  const { id } = await ask<{ id: string }>(footfall, '/api/v1/jobs', { kind: 'backup', payload: {} })
  for (let note = ''; note !== 'the store';)
    note = (await ask<{ progress: { note: string } | null }>(footfall, `/api/v1/jobs/${id}`)).progress?.note ?? ''
  await footfall.close()
})
