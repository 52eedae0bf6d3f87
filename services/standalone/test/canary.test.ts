import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '@footfall/config/config'
import { canaryId } from '@footfall/console/canary'
import { metricDefinitions } from '@footfall/store/metrics'
import { createLogger } from '@footfall/telemetry/logger'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createPassingTime } from '../../../test/passing-time.ts'
import { freePort } from '../../../test/servers/free-port.ts'
import { startStandalone, type Standalone } from '../src/start.ts'

const token = 'canary-test-token-0000'
let root: string
let footfall: Standalone
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'footfall-canary-'))
})
afterEach(() => footfall.close())
afterAll(() => rm(root, { recursive: true, force: true }))

/** A standalone whose canary goes to itself. */
async function start(directory: string, canaryTime = {}): Promise<void> {
  const port = String(await freePort())
  footfall = await startStandalone(
    readConfig({
      DATA_DIR: directory,
      PORT: port,
      CANARY_URL: `http://127.0.0.1:${port}/`,
      ADMIN_TOKEN: token,
      FLUSH_INTERVAL_MS: '10',
      LOG_LEVEL: 'silent',
    }),
    { logger: createLogger('silent'), canaryTime },
  )
}
const ask = async <Answer>(path: string): Promise<Answer> => {
  const response = await fetch(footfall.url + path, { headers: { authorization: `Bearer ${token}` } })
  expect(response.status, path).toBe(200)
  return (await response.json()) as Answer
}
/** What `/metrics` says under a name; undefined where there is nothing. */
const read = async (name: string): Promise<number | undefined> => {
  const text = await (await fetch(`${footfall.url}/metrics`)).text()
  const line = text.split('\n').find((one) => one.startsWith(`${name} `))
  return line === undefined ? undefined : Number(line.slice(name.length))
}
/** What became of the canaries, once none is under way: rows are there a moment before the ledger. */
const ledger = async (): Promise<{ in_log: number }> => {
  for (;;) {
    const sums = await ask<{ in_log: number }>(`/api/v1/ledger?deployment=${canaryId}`)
    if (sums.in_log === 0) return sums
  }
}

test('a canary is seen in the store and in the ledger, is shown live, and is in no number', async () => {
  await start(join(root, 'well'))
  while ((await read('footfall_canary_seconds_count')) !== 1);
  expect(await read('footfall_canary_seen_timestamp_seconds')).toBeGreaterThan(Date.now() / 1000 - 60)
  expect(await ledger()).toMatchObject({ stored: 1, difference: 0 })

  const answers = await Promise.all(
    metricDefinitions.map(({ id }) =>
      ask<{ metric: string; rows: { value: number | null }[] }>(`/api/v1/metrics/${id}?interval=total`),
    ),
  )
  const counted = answers.filter(({ rows }) => rows.some(({ value }) => value !== null && value !== 0))
  expect(counted).toEqual([])

  const signedIn = await fetch(footfall.signInLink(), { redirect: 'manual' })
  const cookie = signedIn.headers.getSetCookie()[0]!.split(';')[0]!
  const page = async (path: string): Promise<string> =>
    (await fetch(footfall.url + path, { headers: { cookie } })).text()
  expect(await page(`/live?deployment=${canaryId}`)).toMatch(/<strong>Page view<\/strong>[^]*in no number[^]*Canary/)
  for (const path of ['/', `/deployments/${canaryId}`])
    expect(await page(path)).toContain('<span class="tag">test environment: in no number</span>')
})

test('while the store is away a canary is sent and not seen; when it is back the next one is', async () => {
  const directory = join(root, 'away')
  await mkdir(directory)
  await writeFile(join(directory, 'store'), 'a file where the directory should be')
  const time = createPassingTime()
  let passed = 0
  await start(directory, { now: () => Date.now() + passed, wait: time.wait })
  await time.reached(500)
  expect(await read('footfall_canary_failures_total{step="store"}')).toBeUndefined()
  passed += 60_000
  await time.pass(500)
  await time.reached(0)
  expect(await read('footfall_canary_failures_total{step="store"}')).toBe(1)
  expect(await read('footfall_canary_seen_timestamp_seconds')).toBe(0)
  await rm(join(directory, 'store'))
  await footfall.storeReady
  await time.pass(0)
  // Looks as often as it takes.
  void (async () => {
    for (;;) await time.pass(500)
  })()
  while ((await read('footfall_canary_seconds_count')) !== 1);
  expect(await ledger()).toMatchObject({ stored: 2, difference: 0 })
})
