import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestEngine, type TestEngine } from '../../../shared/store/test/engine.ts'
import { keepStore } from '../src/keep-store.ts'

let engine: TestEngine
beforeAll(async () => {
  engine = await startTestEngine()
})
afterAll(() => engine.close())

test('the store is kept as one whole file; a part of one that was cut off is no obstacle', async () => {
  const { store, backups } = engine
  await mkdir(backups, { recursive: true })
  await writeFile(join(backups, 'before.building.tar.zst'), 'half')
  const file = await keepStore(store, backups, 'before')
  expect(await keepStore(store, backups, 'before')).toBe(file)
  expect(await readdir(backups)).toEqual(['before.tar.zst'])
})

test('a disk without room for the backup is left as it is, and told in numbers', async () => {
  const { store, backups } = engine
  await expect(keepStore(store, backups, 'large', 1e18)).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: expect.stringMatching(/MB free, \d+ MB are needed/) as string,
  })
  expect(await readdir(backups)).not.toContain('large.tar.zst')
})
