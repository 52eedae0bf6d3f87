import { execFile } from 'node:child_process'
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readConfig } from '@footfall/config/config'
import { findRoot } from '@footfall/config/root'
import { startStandalone, type Standalone } from '@footfall/standalone/start'
import { migrationsDirectory } from '@footfall/store/migrate'
import { createLogger } from '@footfall/telemetry/logger'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sendPageView } from '../../../../test/send-page-view.ts'

const token = 'restore-store-test-token-0000'
let root: string
let environment: Record<string, string>
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'footfall-restore-store-'))
  environment = {
    DATA_DIR: join(root, 'data'),
    PORT: '0',
    ADMIN_TOKEN: token,
    FLUSH_INTERVAL_MS: '10',
    LOG_LEVEL: 'silent',
  }
})
afterAll(() => rm(root, { recursive: true, force: true }))

/** A version whose migrations lie in a directory. */
const start = (migrations: string): Promise<Standalone> =>
  startStandalone(readConfig(environment), { logger: createLogger('silent'), migrations })
const ask = async <Answer>({ url }: Standalone, path: string): Promise<Answer> =>
  (await (await fetch(url + path, { headers: { authorization: `Bearer ${token}` } })).json()) as Answer
const send = async (footfall: Standalone): Promise<void> => {
  const { deployments } = await ask<{ deployments: { keys: string[] }[] }>(footfall, '/api/v1/registry')
  expect(await sendPageView(footfall.url, deployments[0]!.keys[0]!)).toMatchObject({ accepted: 1 })
}
const settled = async (footfall: Standalone): Promise<unknown> => {
  await footfall.storeReady
  for (;;) {
    const ledger = await ask<{ in_log: number }>(footfall, '/api/v1/ledger')
    if (ledger.in_log === 0) return ledger
  }
}
const restore = async (file: string): Promise<string> => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(findRoot(), 'dist/footfall.js'), 'restore', '--store', file],
    { env: { PATH: process.env.PATH, ...environment } },
  )
  return stdout
}

test('after an upgrade the older version goes on with the store of before, and takes what came since from the log', async () => {
  const older = await start(migrationsDirectory())
  await send(older)
  await settled(older)
  await older.close()

  const migrations = join(root, 'migrations')
  await cp(migrationsDirectory(), migrations, { recursive: true })
  await writeFile(join(migrations, '9999-colour.sql'), 'ALTER TABLE events ADD COLUMN IF NOT EXISTS colour String;')
  const newer = await start(migrations)
  await send(newer)
  expect(await settled(newer)).toMatchObject({ stored: 2, difference: 0 })
  await newer.close()
  const backups = join(environment.DATA_DIR!, 'backups')
  expect(await readdir(backups)).toEqual(['before-9999-colour.tar.zst'])

  const before = join(backups, 'before-9999-colour.tar.zst')
  // What cannot be restored leaves everything as it was.
  await writeFile(join(backups, 'broken.tar.zst'), 'no backup')
  await expect(restore(join(backups, 'broken.tar.zst'))).rejects.toThrow()
  expect(await restore(before)).toContain('1 records of the log are read again')
  const again = await start(migrationsDirectory())
  expect(await settled(again)).toMatchObject({ stored: 2, difference: 0 })
  await send(again)
  expect(await settled(again)).toMatchObject({ stored: 3, difference: 0 })
  await again.close()
})
