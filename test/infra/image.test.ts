import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sendPageView } from '../send-page-view.ts'

const dockerfile = readFileSync(join(findRoot(), 'infra/docker/Dockerfile'), 'utf8')
const final = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '))
const list = (before: RegExp): string[] =>
  JSON.parse(new RegExp(`${before.source} (\\[.*\\])$`, 'm').exec(final)![1]!) as string[]
const [, ...entry] = list(/^ENTRYPOINT/)
const [, ...healthcheck] = list(/^HEALTHCHECK .* CMD/)
const variables = Object.fromEntries(
  /^ENV (.*)$/m
    .exec(final)![1]!
    .split(' ')
    .map((pair) => pair.split('=')),
) as Record<string, string>
let root: string
let image: string

/** What the Dockerfile copies into the image, and nothing else; packages by a link. */
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'footfall-image-'))
  image = join(root, 'app')
  for (const [, list] of final.matchAll(/^COPY --from=build (.*)$/gm)) {
    const paths = list!.split(' ').map((path) => path.replace(/^\/app\//, ''))
    const target = paths.pop()!
    for (const path of paths) {
      const to = join(image, target.endsWith('/') ? join(target, basename(path)) : target)
      mkdirSync(dirname(to), { recursive: true })
      if (path === 'node_modules') symlinkSync(join(findRoot(), path), to)
      else cpSync(join(findRoot(), path), to, { recursive: true })
    }
  }
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const contents = (): string[] =>
  readdirSync(image, { recursive: true, encoding: 'utf8' })
    .filter((path) => !path.startsWith('node_modules'))
    .sort()

test('what the image holds is enough to take a beacon, show it, and end at SIGTERM; it writes to /data alone', async () => {
  const token = 'image-test-token-0000'
  const before = contents()
  const child = spawn(process.execPath, [...entry, ...list(/^CMD/)], {
    cwd: image,
    env: {
      ...variables,
      PATH: process.env.PATH,
      HOST: '127.0.0.1',
      PORT: '0',
      DATA_DIR: join(root, 'data'),
      ADMIN_TOKEN: token,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  let output = ''
  for await (const chunk of child.stdout) if ((output += String(chunk)).includes('Stop with Ctrl-C.')) break
  child.stdout.resume()
  const url = /Console +(\S+)/.exec(output)![1]!
  const headers = { authorization: `Bearer ${token}` }
  const ask = async <Answer>(path: string): Promise<Answer> =>
    (await (await fetch(url + path, { headers })).json()) as Answer

  /** Its exit code. */
  const checkHealth = (): Promise<number | null> =>
    new Promise((resolve) =>
      spawn(process.execPath, healthcheck, { cwd: image, env: { PORT: new URL(url).port } }).once('exit', resolve),
    )
  expect(await checkHealth()).toBe(0)

  const { deployments } = await ask<{ deployments: { id: string; keys: string[] }[] }>('/api/v1/registry')
  expect(await sendPageView(url, deployments[0]!.keys[0]!)).toMatchObject({ accepted: 1 })
  while ((await ask<{ stored?: number }>('/api/v1/ledger')).stored !== 1);
  expect(await ask('/api/v1/metrics/page_views')).toMatchObject({ metric: 'page_views' })
  expect((await fetch(`${url}/footfall.js`)).status).toBe(200)
  const page = await (await fetch(`${url}/login`)).text()
  expect((await fetch(url + /\/assets\/[^"]+\.css/.exec(page)![0])).status).toBe(200)
  child.kill('SIGTERM')
  expect(await ended).toBe(0)
  expect(await checkHealth()).toBe(1)
  expect(contents()).toEqual(before)
})

test('the process is not root’s, gets its signals itself, and knows no secret', () => {
  expect(final).toMatch(/^USER footfall$/m)
  expect(final).toMatch(/--gid 10001[^]*--uid 10001/)
  expect(entry).toEqual(['dist/footfall.js'])
  expect(Object.keys(variables).sort()).toEqual(['DATA_DIR', 'HOST', 'NODE_ENV', 'PORT'])
  expect(readFileSync(join(findRoot(), '.dockerignore'), 'utf8').split('\n')).toEqual(
    expect.arrayContaining(['.git', '.env', 'data', '**/node_modules']),
  )
})
