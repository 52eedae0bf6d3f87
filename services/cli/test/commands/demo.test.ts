import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { afterAll, beforeAll, expect, test } from 'vitest'

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'footfall-demo-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

/** The real command; it has to end by itself. */
const demo = (directory: string, ...args: string[]): { status: number | null; stderr: string } =>
  spawnSync(process.execPath, [join(findRoot(), 'dist/footfall.js'), 'demo', '--data', directory, ...args], {
    env: { ...process.env, PORT: '0', ADMIN_TOKEN: '', LOG_LEVEL: 'silent' },
    encoding: 'utf8',
    timeout: 45_000,
  })

test('a directory that is no demo of ours is refused, and nothing is made in it', async () => {
  const other = join(root, 'other')
  await mkdir(other)
  await writeFile(join(other, 'letter.txt'), 'mine')
  expect(demo(other)).toMatchObject({ status: 1, stderr: expect.stringContaining('no demo of ours') as string })
  expect(await readdir(other)).toEqual(['letter.txt'])
})

test('a demo that holds a real deployment by now is refused before an engine starts', async () => {
  const used = join(root, 'used')
  await mkdir(used)
  await writeFile(join(used, 'demo.json'), '{"seed":1,"days":365,"scale":1,"end":"2026-03-10","until":null}')
  await writeFile(join(used, 'registry.json'), JSON.stringify({ state: { deployments: [['helsinki-app', {}]] } }))
  expect(demo(used)).toMatchObject({ status: 1, stderr: expect.stringContaining('helsinki-app') as string })
  expect((await readdir(used)).sort()).toEqual(['demo.json', 'registry.json'])
})

test('a demo that cannot be made ends with 1 instead of going on as a server, and can be tried again', () => {
  const failed = join(root, 'failed')
  for (let time = 0; time < 2; time++) {
    expect(demo(failed, '--days', '0')).toMatchObject({ status: 1, stderr: expect.stringContaining('days') as string })
  }
  expect(demo(failed, '--days', '2', '--scale', '0.01', '--exit').status).toBe(0)
  expect(demo(failed, '--seed', '2')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('holds the history of --seed 1 --days 2 --scale 0.01') as string,
  })
})
