import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '@footfall/config/config'
import { findRoot } from '@footfall/config/root'
import { startStandalone, type Standalone } from '@footfall/standalone/start'
import { migrationsDirectory } from '@footfall/store/migrate'
import { openStore, type Store } from '@footfall/store/open'
import { createLogger } from '@footfall/telemetry/logger'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { readContents, type Fixture } from './contents.ts'

const fixtures = join(findRoot(), 'test/upgrades/fixtures')
const versions = (await readdir(fixtures)).filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -5))
const token = 'upgrade-test-token-0000'
const minuteMs = 60_000

let root: string
let footfall: Standalone | null
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'footfall-upgrade-'))
  footfall = null
})
afterEach(async () => {
  await footfall?.close()
  vi.useRealTimers()
  await rm(root, { recursive: true, force: true })
})

/** Unpacks a fixture, and makes its time ours: ids are known for three days, and today's days are open. */
async function unpack(version: string): Promise<Fixture> {
  const fixture = JSON.parse(await readFile(join(fixtures, `${version}.json`), 'utf8')) as Fixture
  execFileSync('tar', ['-xzf', join(fixtures, `${version}.tar.gz`), '-C', root])
  vi.useFakeTimers({ toFake: ['Date'], now: fixture.madeAt + minuteMs, shouldAdvanceTime: true })
  return fixture
}
async function start(migrations = migrationsDirectory()): Promise<Standalone> {
  footfall = await startStandalone(
    readConfig({
      DATA_DIR: join(root, 'data'),
      PORT: '0',
      ADMIN_TOKEN: token,
      STORE_PASSWORD: token,
      FLUSH_INTERVAL_MS: '10',
      LOG_LEVEL: 'silent',
    }),
    { logger: createLogger('silent'), migrations },
  )
  return footfall
}
async function ask<Answer>(path: string, body?: unknown, bearer = token): Promise<Answer> {
  const response = await fetch(footfall!.url + path, {
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
  })
  const answer = (await response.json()) as Answer
  expect(response.ok, `${path}: ${JSON.stringify(answer)}`).toBe(true)
  return answer
}
interface Ledger {
  in_log: number
  accepted: number
  stored: number
  deduplicated: number
  difference: number
}
async function settled(): Promise<Ledger> {
  for (;;) {
    const ledger = await ask<Ledger>('/api/v1/ledger')
    if (ledger.in_log === 0) return ledger
  }
}
async function fold(): Promise<void> {
  let job = await ask<{ id: string; state: string; error: string | null }>('/api/v1/jobs', {
    kind: 'fold',
    payload: {},
  })
  while (job.state === 'waiting' || job.state === 'running') job = await ask(`/api/v1/jobs/${job.id}`)
  expect(job.error).toBeNull()
}
async function withStore<Result>(work: (store: Store) => Promise<Result>): Promise<Result> {
  const { storePort } = JSON.parse(await readFile(join(root, 'data/server.json'), 'utf8')) as { storePort: number }
  const store = openStore({ url: `http://127.0.0.1:${storePort}/footfall`, user: 'default', password: token })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}
const send = async (key: string, origin: string, event: object): Promise<void> => {
  const response = await fetch(`${footfall!.url}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain', origin, 'user-agent': 'Mozilla/5.0 Firefox/128.0' },
    body: JSON.stringify({ key, sent_at: Date.now(), events: [event] }),
  })
  expect(await response.json()).toMatchObject({ accepted: 1 })
}
const newEvent = ({ origin }: Fixture): object => ({
  id: randomUUID(),
  name: 'page_view',
  at: Date.now(),
  url: `${origin}/new`,
})
const backups = async (): Promise<string[]> =>
  existsSync(join(root, 'data/backups')) ? readdir(join(root, 'data/backups')) : []
/** Migrations that a fixture has not had. */
const pendingOf = async ({ migrations }: Fixture): Promise<string[]> =>
  (await readdir(migrationsDirectory()))
    .filter((file) => !migrations.includes(file))
    .map((file) => file.replace('.sql', ''))
    .sort()
/** All migrations and an invented one after them. */
async function withMigration(sql: string): Promise<string> {
  const directory = join(root, 'migrations')
  await cp(migrationsDirectory(), directory, { recursive: true })
  await writeFile(join(directory, '9999-invented.sql'), `${sql};\n`)
  return directory
}
/** Everything that the version which made it saw in it, consumed and folded. */
async function expectContents({ contents, ...fixture }: Fixture): Promise<void> {
  const only = Object.keys(Object.values(contents.metrics)[0]!)
  expect(await withStore((store) => readContents(ask, store, fixture, only))).toEqual(contents)
}

/** Reads the first board, as somebody sees it who has signed in, until it holds a text. */
async function boardSays(text: string): Promise<string> {
  const { url } = footfall!
  const signedIn = await fetch(footfall!.signInLink(), { redirect: 'manual' })
  const cookie = signedIn.headers.getSetCookie()[0]!.split(';')[0]!
  let page = ''
  while (!page.includes(text)) page = await (await fetch(`${url}/`, { headers: { cookie } })).text()
  return page
}

describe.each(versions)('a data directory of version %s, cut off in the middle of a batch', (version) => {
  test('is taken on by this version: the log is consumed, numbers are as they were, ids and keys are still known', async () => {
    const fixture = await unpack(version)
    const { stored, keys, origin } = fixture
    await start()
    await footfall!.storeReady
    expect((await fetch(`${footfall!.url}/readyz`)).status).toBe(200)
    const before = await settled()
    expect(before).toMatchObject({ accepted: fixture.accepted, difference: 0 })
    await fold()
    await expectContents(fixture)

    await send(keys[stored.deployment]!, origin, stored.event)
    expect(await settled()).toMatchObject({ stored: before.stored, deduplicated: before.deduplicated + 1 })
    for (const key of [...Object.values(keys), fixture.serverKey]) await send(key, origin, newEvent(fixture))
    expect(await settled()).toMatchObject({ stored: before.stored + Object.keys(keys).length + 1, difference: 0 })
    await ask('/api/v1/metrics/page_views', undefined, fixture.readToken)

    const [first] = await pendingOf(fixture)
    expect(await backups()).toEqual(first === undefined ? [] : [`before-${first}.tar.zst`])
  })

  test('is backed up before a migration, which changes no number', async () => {
    const fixture = await unpack(version)
    await start(await withMigration('ALTER TABLE events ADD COLUMN IF NOT EXISTS colour String'))
    await footfall!.storeReady
    await settled()
    await fold()
    await expectContents(fixture)
    expect(await backups()).toHaveLength(1)
    const [row] = await withStore((store) =>
      store.query<{ kept: string }>("SELECT kept FROM migrations FINAL WHERE id = '9999-invented'"),
    )
    expect(JSON.parse(row!.kept)).toMatchObject({ counts: { read: String(fixture.accepted - fixture.unconsumed) } })
  })

  test('is left alone after a migration that loses rows: the backup is named, and events are accepted all the same', async () => {
    const fixture = await unpack(version)
    await start(await withMigration("ALTER TABLE events DELETE WHERE name = 'rating'"))
    const page = await boardSays('9999-invented')
    expect(page).toMatch(/Migration 9999-invented: events: \d+ before, \d+ after/)
    expect(page).toContain(join(root, 'data/backups', (await backups())[0]!))
    await send(fixture.keys[fixture.stored.deployment]!, fixture.origin, newEvent(fixture))
    expect(await ask('/api/v1/ledger')).toMatchObject({ in_log: fixture.unconsumed + 1 })
  })

  test('is not touched by a migration that cannot be backed up, and goes on by itself once it can', async () => {
    const fixture = await unpack(version)
    const [first = '9999-invented'] = await pendingOf(fixture)
    // A folder where the file should be.
    const obstacle = join(root, `data/backups/before-${first}.building.tar.zst`)
    await mkdir(obstacle, { recursive: true })
    await start(await withMigration('ALTER TABLE events ADD COLUMN IF NOT EXISTS colour String'))
    await boardSays(`${first} was not begun`)
    await send(fixture.keys[fixture.stored.deployment]!, fixture.origin, newEvent(fixture))
    expect(await withStore((store) => store.query("SELECT name FROM system.columns WHERE name = 'colour'"))).toEqual([])
    await rm(obstacle, { recursive: true })
    await footfall!.storeReady
    expect(await settled()).toMatchObject({ accepted: fixture.accepted + 1, difference: 0 })
  })
})
