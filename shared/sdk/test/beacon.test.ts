import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Beacon } from '@footfall/contracts/beacon'
import { createSender } from '../src/beacon.ts'

interface Try {
  readonly atMs: number
  readonly beacon: Beacon
}

/** What the network was asked to carry, and the answers it gives from now on. */
let tries: Try[]
let answer: () => Response | Promise<Response>

const accept = (): Response => new Response('{"accepted":1,"receipts":[]}', { status: 202 })
const names = ({ beacon }: Try): string[] => beacon.events.map(({ name }) => name)
const newSender = (allowed: () => boolean = () => true) =>
  createSender('pk_test', 'http://ingest/v1/events', allowed, false)

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) })
  tries = []
  answer = accept
  vi.stubGlobal('fetch', async (_url: string, { body }: { body: string }) => {
    tries.push({ atMs: Date.now(), beacon: JSON.parse(body) as Beacon })
    return answer()
  })
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

test('the first events leave within two seconds, later ones within five, twenty at once', async () => {
  const [add] = newSender()
  const begun = Date.now()
  add('first')
  await vi.advanceTimersByTimeAsync(60_000)
  expect(tries.map(({ atMs }) => atMs - begun)).toEqual([1_000])
  add('second')
  await vi.advanceTimersByTimeAsync(4_000)
  add('third')
  await vi.advanceTimersByTimeAsync(1_000)
  expect(tries.map(names)).toEqual([['first'], ['second', 'third']])
  for (let index = 0; index < 20; index++) add('many')
  await vi.advanceTimersByTimeAsync(0)
  expect(tries[2]!.beacon.events).toHaveLength(20)
})

test('pauses between tries double from one second up to five minutes, with full jitter', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(1)
  answer = () => new Response('busy', { status: 503 })
  const [add] = newSender()
  add('stubborn')
  await vi.advanceTimersByTimeAsync(3_600_000)
  const pauses = tries.slice(1).map(({ atMs }, index) => (atMs - tries[index]!.atMs) / 1_000)
  expect(pauses.slice(0, 12)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300])
  vi.spyOn(Math, 'random').mockReturnValue(0.25)
  const before = tries.length
  await vi.advanceTimersByTimeAsync(300_000)
  expect((tries[before + 1]!.atMs - tries[before]!.atMs) / 1_000).toBe(75)
})

test('each try says when it left and how many went before; the event stays the same', async () => {
  answer = () => Promise.reject(new TypeError('offline'))
  const [add] = newSender()
  add('patient')
  await vi.advanceTimersByTimeAsync(30_000)
  answer = accept
  await vi.advanceTimersByTimeAsync(300_000)
  const events = tries.map(({ beacon }) => beacon.events[0]!)
  expect(events.map(({ attempt }) => attempt)).toEqual(events.map((_, index) => index + 1))
  expect(new Set(events.map(({ id, at, seq }) => `${id} ${at} ${seq}`)).size).toBe(1)
  expect(tries.map(({ beacon }) => beacon.sent_at)).toEqual(tries.map(({ atMs }) => atMs))
  expect(vi.getTimerCount()).toBe(0)
})

test('a burst does not hurry past a pause that the server asked for', async () => {
  answer = () => new Response('{}', { status: 429, headers: { 'retry-after': '90' } })
  const [add] = newSender()
  add('early')
  await vi.advanceTimersByTimeAsync(1_000)
  for (let index = 0; index < 40; index++) add('burst')
  await vi.advanceTimersByTimeAsync(89_999)
  expect(tries).toHaveLength(1)
  answer = accept
  await vi.advanceTimersByTimeAsync(1)
  expect(tries[1]!.beacon.events).toHaveLength(41)
})

test('a pause of a month, longer than a timer can be, ends after five minutes', async () => {
  answer = () => new Response('{}', { status: 429, headers: { 'retry-after': '3000000' } })
  const [add] = newSender()
  add('patient')
  await vi.advanceTimersByTimeAsync(301_000)
  expect(tries.map(({ atMs }) => (atMs - tries[0]!.atMs) / 1_000)).toEqual([0, 300])
})

test('a date in Retry-After is no number: the pause is our own', async () => {
  answer = () => new Response('', { status: 503, headers: { 'retry-after': 'Thu, 01 Jan 2026 01:00:00 GMT' } })
  const [add] = newSender()
  add('wanted')
  await vi.advanceTimersByTimeAsync(1_000)
  answer = accept
  await vi.advanceTimersByTimeAsync(1_000)
  expect(tries.map(names)).toEqual([['wanted'], ['wanted']])
})

test.each([400, 401, 403, 404, 413, 415])('status %i drops the events', async (status) => {
  answer = () => new Response('<html>', { status })
  const [add] = newSender()
  add('unwanted')
  await vi.advanceTimersByTimeAsync(3_600_000)
  expect(tries).toHaveLength(1)
})

test.each([408, 429, 500, 502, 503])('status %i is tried again', async (status) => {
  answer = () => new Response('<html>', { status })
  const [add] = newSender()
  add('wanted')
  await vi.advanceTimersByTimeAsync(30_000)
  answer = accept
  await vi.advanceTimersByTimeAsync(300_000)
  expect(tries.length).toBeGreaterThan(1)
  expect(new Set(tries.map(({ beacon }) => beacon.events[0]!.id)).size).toBe(1)
})

test('the sign-in page of a public network is no answer', async () => {
  answer = () => new Response('<html>Welcome to the library</html>', { status: 200 })
  const [add] = newSender()
  add('wanted')
  await vi.advanceTimersByTimeAsync(1_000)
  answer = accept
  await vi.advanceTimersByTimeAsync(1_000)
  expect(tries.map(names)).toEqual([['wanted'], ['wanted']])
})

test('of a batch only the events whose receipt says retry are sent again, with their ids', async () => {
  const receipts = [
    { index: 0, id: null, result: 'dropped', code: 'invalid_event', message: '' },
    { index: 2, id: null, result: 'retry', code: 'rate_limited', message: '' },
  ]
  answer = () => new Response(JSON.stringify({ accepted: 1, receipts }), { status: 202 })
  const [add] = newSender()
  for (const name of ['bad', 'good', 'later']) add(name)
  await vi.advanceTimersByTimeAsync(1_000)
  answer = accept
  await vi.advanceTimersByTimeAsync(60_000)
  expect(tries.map(names)).toEqual([['bad', 'good', 'later'], ['later']])
  expect(tries[1]!.beacon.events[0]!.id).toBe(tries[0]!.beacon.events[2]!.id)
})

test('two hundred events wait at most, the newest', async () => {
  answer = () => new Response('', { status: 503 })
  const [add, flush] = newSender()
  for (let index = 0; index < 1_000; index++) add('waiting', { value: index })
  answer = accept
  flush()
  await vi.advanceTimersByTimeAsync(0)
  const values = tries.flatMap(({ beacon }) => beacon.events.map(({ value }) => value!))
  expect(values.sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, index) => 800 + index))
  expect(Math.max(...tries.map(({ beacon }) => beacon.events.length))).toBeLessThanOrEqual(100)
})

test('what waits when the visitor objects is forgotten, and counting can begin anew', async () => {
  let allowed = true
  const [add] = newSender(() => allowed)
  add('before')
  allowed = false
  add('meanwhile')
  await vi.advanceTimersByTimeAsync(60_000)
  expect(tries).toEqual([])
  allowed = true
  add('anew')
  await vi.advanceTimersByTimeAsync(5_000)
  expect(tries.map(names)).toEqual([['anew']])
})
