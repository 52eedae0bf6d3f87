import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findRoot } from '@footfall/config/root'
import { openStore, type Store } from '@footfall/store/open'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeOlder, migrationIds } from '../../../../test/servers/older-store.ts'
import { startService, type RunningService } from '../../../../test/servers/footfall.ts'

const password = 'migrate-test'
let root: string
let server: RunningService
let store: Store
const last = migrationIds.at(-1)!
const backups = (): Promise<string[]> => readdir(join(server.directory, 'backups'))
const migrate = async (...args: string[]): Promise<string> => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(findRoot(), 'dist/footfall.js'), 'migrate', ...args],
    { env: { PATH: process.env.PATH, STORE_URL: `${server.url.replace('//', `//default:${password}@`)}/footfall` } },
  )
  return stdout
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'footfall-migrate-command-'))
  server = await startService('embedded-clickhouse', { STORE_PASSWORD: password }, { directory: root })
  store = openStore({ url: `${server.url}/footfall`, user: 'default', password })
})
afterAll(async () => {
  await store.close()
  await server.stop()
  await rm(root, { recursive: true, force: true })
})

test('footfall migrate makes a new store, then has nothing to do', async () => {
  expect(await migrate()).toMatch(new RegExp(`Applied: ${migrationIds.join(', ')}[^]*nothing to back up`))
  expect(await migrate()).toContain('nothing was done')
  expect(await backups()).toEqual([])
})

test('footfall migrate has the server back an older store up, unless it has backups of its own, and says what agrees', async () => {
  await makeOlder(store)
  expect(await migrate()).toMatch(new RegExp(`Applied: ${last}[.][^]*before-${last}-[^]*read: 1\n`))
  expect(await backups()).toEqual([expect.stringMatching(new RegExp(`^before-${last}-.*[.]tar[.]zst$`))])
  await makeOlder(store)
  expect(await migrate('--without-backup')).toMatch(/No backup was made[^]*read: 1\n/)
  expect(await backups()).toHaveLength(1)
})

test('footfall migrate leaves a standalone store to its own process', async () => {
  await expect(
    promisify(execFile)(process.execPath, [join(findRoot(), 'dist/footfall.js'), 'migrate'], {
      env: { PATH: process.env.PATH, DATA_DIR: join(root, 'none') },
    }),
  ).rejects.toMatchObject({ stderr: expect.stringContaining('STORE_URL') as string })
})
