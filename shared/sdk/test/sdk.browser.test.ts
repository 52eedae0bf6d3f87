import type { EventRecord } from '@footfall/contracts/event'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Footfall } from '../src/footfall.ts'
import { launchChromium } from './chromium.ts'
import { startSite, type Site } from './site.ts'
import { startTarget, type Target } from './target.ts'
import { watchedList, type WatchedList } from './watched-list.ts'

declare global {
  interface Window {
    footfall: Footfall
  }
}

let browser: Browser
let target: Target
let site: Site
let context: BrowserContext
/** What would have disturbed the city's page: uncaught errors and rejections of any page of the test. */
let disturbances: string[]

beforeAll(async () => {
  browser = await launchChromium()
})
afterAll(async () => {
  await browser.close()
})
beforeEach(async () => {
  target = await startTarget()
  site = await startSite(target)
  context = await browser.newContext()
  disturbances = watchErrors(context)
})
afterEach(async () => {
  await context.close()
  await site.close()
  await target.close()
  expect(disturbances).toEqual([])
})

function watchErrors(watched: BrowserContext): string[] {
  const errors: string[] = []
  watched.on('weberror', (error) => errors.push(String(error.error())))
  return errors
}

async function open(path: string, within: BrowserContext = context): Promise<Page> {
  const page = await within.newPage()
  await page.goto(site.origin + path)
  return page
}

const views = (events: readonly EventRecord[]): EventRecord[] => events.filter(({ name }) => name === 'page_view')
const named = (name: string) => (events: readonly EventRecord[]) => events.some((event) => event.name === name)
const times = (count: number) => (events: readonly unknown[]) => events.length >= count
const track = (page: Page, name: string) => page.evaluate((event) => window.footfall.track(event), name)
const distinct = (events: readonly EventRecord[]): number => new Set(events.map(({ id }) => id)).size

/** Tells the page that its tab is shown or hidden: without a window no tab ever is. */
const turn = (page: Page, state: 'visible' | 'hidden') =>
  page.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true })
    document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))
  }, state === 'hidden')

/** What a page with data-debug says that is no event: the answers that it has read. */
function watchAnswers(page: Page): WatchedList<string> {
  const answers = watchedList<string>()
  page.on('console', (message) => {
    const said = message.text()
    if (said.startsWith('footfall') && !said.includes('attempt:')) answers.push(said)
  })
  return answers
}

/** Beacons that a page starts to send, and a barrier behind which every earlier one is known. */
function watchBeacons(page: Page): { urls: string[]; settle(ms?: number): Promise<void> } {
  const urls: string[] = []
  page.on('request', (request) => {
    if (new URL(request.url()).pathname === '/v1/events') urls.push(request.url())
  })
  return {
    urls,
    async settle(ms = 600_000) {
      // Ten minutes of timers, then a request of our own: the browser reports requests in their order.
      await page.clock.runFor(ms)
      const reported = page.waitForEvent('request', (request) => request.url().endsWith('?barrier'))
      await page.evaluate(() => void fetch('/plain.html?barrier'))
      await reported
    },
  }
}

test('a first load is counted once, with a clean address, in one request', async () => {
  await open('/plain.html?name=secret#private')
  const [event] = await target.stored.until(times(1))
  expect(event).toMatchObject({ name: 'page_view', path: '/plain.html', referrer: '', seq: 0, attempt: 1 })
  expect(event!.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(target.beacons.items).toHaveLength(1)
  expect(JSON.stringify(target.beacons.items)).not.toMatch(/secret|private/)
})

test('a reload is a second page view with a page id of its own', async () => {
  const page = await open('/plain.html')
  await target.stored.until(times(1))
  await page.reload()
  // The first may come twice: the reload may cut its answer off.
  const events = await target.stored.until((stored) => distinct(stored) === 2)
  for (const { path, seq } of events) expect([path, seq]).toEqual(['/plain.html', 0])
  expect(new Set(events.map(({ id, page_id }) => `${id} ${page_id}`)).size).toBe(2)
  expect(new Set(events.map(({ page_id }) => page_id)).size).toBe(2)
})

test('navigating away sends what waits; the next page knows no more of the last than its origin', async () => {
  const page = await open('/plain.html?from=newsletter')
  await track(page, 'map_opened')
  await page.click('a')
  const events = await target.stored.until((stored) => named('map_opened')(stored) && views(stored).length === 2)
  expect(events).toHaveLength(3)
  expect(distinct(events)).toBe(3)
  const referrers = target.beacons.items.flatMap(({ events }) => events.map(({ referrer }) => referrer))
  expect(referrers).toContain(site.origin)
  expect(JSON.stringify(referrers)).not.toContain('plain')
})

test('closing the tab sends what waits', async () => {
  const page = await open('/plain.html')
  await target.stored.until(times(1))
  await track(page, 'last_words')
  await page.close()
  const events = await target.stored.until(named('last_words'))
  expect(events.map(({ seq }) => seq)).toEqual([0, 1])
})

test('events made offline arrive as soon as the network is back, before any timer', async () => {
  const page = await context.newPage()
  await page.clock.install()
  await page.goto(`${site.origin}/plain.html`)
  await page.clock.runFor(2_000)
  await target.stored.until(times(1))
  await page.clock.pauseAt(Date.now() + 10_000)
  await context.setOffline(true)
  const failed = page.waitForEvent('requestfailed')
  await track(page, 'made_offline')
  await page.evaluate(() => window.footfall.flush())
  await failed
  await context.setOffline(false)
  const events = await target.stored.until(named('made_offline'))
  expect(events.map(({ name, attempt }) => [name, attempt])).toEqual([
    ['page_view', 1],
    ['made_offline', 2],
  ])
})

test('429 is tried again not before its Retry-After, 503 after a pause; nothing is lost or doubled', async () => {
  target.behave({ status: 429, headers: { 'retry-after': '2' } }, { status: 503 })
  const page = await open('/plain.html')
  await target.beacons.until(times(1))
  await track(page, 'while_refused')
  const events = await target.stored.until(times(2))
  const [first, second] = target.beacons.items
  expect(second!.sent_at - first!.sent_at).toBeGreaterThanOrEqual(2_000)
  expect(events.map(({ name, attempt }) => [name, attempt])).toEqual([
    ['page_view', 3],
    ['while_refused', 2],
  ])
  expect(distinct(events)).toBe(2)
})

test('of two requests at once one is refused: the other’s success does not hurry it past its Retry-After', async () => {
  const page = await context.newPage()
  await page.clock.install()
  await page.clock.pauseAt(Date.now() + 1_000)
  const answers = watchAnswers(page)
  const beacons = watchBeacons(page)
  let routed = 0
  await context.route('**/v1/events', async (route) => {
    if (routed++ > 0) {
      // Whatever comes after the refused one waits until the page knows of the refusal.
      await answers.until(times(1))
      return route.continue()
    }
    const cors = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'retry-after' }
    return route.fulfill({ status: 429, headers: { ...cors, 'retry-after': '30' }, json: {} })
  })
  await page.goto(`${site.origin}/debug.html`)
  await page.evaluate(() => {
    for (let index = 0; index < 149; index++) window.footfall.track('many')
    window.footfall.flush()
  })
  await answers.until(times(2))
  await beacons.settle(29_000)
  expect(beacons.urls).toHaveLength(2)
  await page.clock.runFor(1_000)
  const events = await target.stored.until(times(150))
  expect(distinct(events)).toBe(150)
})

test('a tab that is shown or hidden again does not hurry past Retry-After', async () => {
  target.behave({ status: 429, headers: { 'retry-after': '30' } })
  const page = await context.newPage()
  await page.clock.install()
  await page.clock.pauseAt(Date.now() + 1_000)
  const answers = watchAnswers(page)
  const beacons = watchBeacons(page)
  await page.goto(`${site.origin}/debug.html`)
  await page.clock.runFor(1_000)
  await answers.until(times(1))
  await turn(page, 'visible')
  await turn(page, 'hidden')
  await turn(page, 'visible')
  await beacons.settle(29_000)
  expect(beacons.urls).toHaveLength(1)
  await page.clock.runFor(1_000)
  const [event] = await target.stored.until(times(1))
  expect(event).toMatchObject({ name: 'page_view', attempt: 2 })
})

test('a tab that is hidden sends what waits, one that is shown does not', async () => {
  const page = await context.newPage()
  await page.clock.install()
  await page.clock.pauseAt(Date.now() + 1_000)
  const beacons = watchBeacons(page)
  await page.goto(`${site.origin}/plain.html`)
  await turn(page, 'visible')
  await beacons.settle(0)
  expect(beacons.urls).toEqual([])
  await turn(page, 'hidden')
  await target.stored.until(times(1))
})

test('a page of another origin may read how long ingest asks it to wait', async () => {
  const page = await open('/plain.html')
  await target.stored.until(times(1))
  // 100 events a second, ten seconds of it saved up: at the latest a dozen full requests at once are too many.
  const waits = await page.evaluate(
    async ([url, key]) => {
      const send = async (): Promise<string | null> => {
        const at = Date.now()
        const events = Array.from({ length: 100 }, () => ({ id: crypto.randomUUID(), name: 'flood', at }))
        const body = JSON.stringify({ key, sent_at: at, events })
        const response = await fetch(`${url}/v1/events`, { method: 'POST', body })
        return response.status === 429 ? response.headers.get('retry-after') : 'accepted'
      }
      return Promise.all(Array.from({ length: 40 }, send))
    },
    [target.url, target.key] as const,
  )
  const refused = waits.filter((wait) => wait !== 'accepted')
  expect(refused.length).toBeGreaterThan(0)
  expect(refused.every((wait) => Number(wait) >= 1)).toBe(true)
})

test('a request that is refused for good is not repeated', async () => {
  target.behave({ status: 403 })
  const page = await open('/plain.html')
  await target.beacons.until(times(1))
  await track(page, 'after_refusal')
  const events = await target.stored.until(times(1))
  expect(events.map(({ name, seq }) => [name, seq])).toEqual([['after_refusal', 1]])
})

test('an answer that gets lost makes two copies of one event, which the id shows', async () => {
  target.behave('cut', 'lose-answer')
  await open('/plain.html')
  const events = await target.stored.until(times(2))
  expect(events.map(({ attempt }) => attempt)).toEqual([2, 3])
  expect(distinct(events)).toBe(1)
  expect(events[0]!.content).toBe(events[1]!.content)
})

test('a blocked endpoint leaves the page alone', async () => {
  await context.route('**/v1/events', (route) => route.abort('blockedbyclient'))
  const page = await open('/plain.html')
  const failed = page.waitForEvent('requestfailed')
  await page.evaluate(() => {
    const loop: Record<string, unknown> = {}
    loop.self = loop
    window.footfall.track('odd', { props: loop as never })
    window.footfall.track('odd', { props: { big: 1n as never } })
    window.footfall.track(undefined as never)
    window.footfall.journey('permit').complete()
    window.footfall.rating(Number.NaN)
    window.footfall.flush()
  })
  await failed
  expect(await page.evaluate(() => Object.keys(window).filter((name) => /footfall/i.test(name)))).toEqual(['footfall'])
})

test('an event that cannot be written does not take others with it', async () => {
  const page = await open('/plain.html')
  await page.evaluate(() => {
    window.footfall.track('broken', { props: { big: 1n as never } })
    window.footfall.track('sound', { props: { size: 1 } })
  })
  const events = await target.stored.until(named('sound'))
  expect(events.map(({ name, seq }) => [name, seq])).toEqual([
    ['page_view', 0],
    ['sound', 1],
  ])
})

test('many large events leave in bodies that ingest takes', async () => {
  const page = await open('/plain.html')
  await page.evaluate(() => {
    const words = { text: 'ä'.repeat(1_000) }
    for (let index = 0; index < 60; index++) window.footfall.track('large', { props: words })
  })
  const events = await target.stored.until(times(61))
  expect(distinct(events)).toBe(61)
  expect(target.beacons.items.length).toBeGreaterThan(2)
  for (const beacon of target.beacons.items) {
    expect(Buffer.byteLength(JSON.stringify(beacon))).toBeLessThan(52_000)
  }
})

test('a hundred and fifty waiting events leave with the page', async () => {
  const page = await open('/plain.html')
  await target.stored.until(times(1))
  await page.evaluate(() => {
    for (let index = 0; index < 150; index++) window.footfall.track('waiting', { value: index })
    location.href = 'other.html'
  })
  // A context that is closed while a page is on its way to another may never answer.
  await page.waitForURL('**/other.html')
  const waiting = (events: readonly EventRecord[]) => events.filter(({ name }) => name === 'waiting')
  // A request that was cut off when its answer was on the way may have been repeated, with the same ids.
  const events = await target.stored.until((stored) => distinct(waiting(stored)) === 150)
  expect(new Set(waiting(events).map(({ seq }) => seq)).size).toBe(150)
  expect(target.beacons.items.every(({ events }) => events.length <= 100)).toBe(true)
})

test('two tabs count for themselves and share the visitor of the day', async () => {
  await open('/plain.html')
  await open('/other.html')
  const events = await target.stored.until(times(2))
  expect(new Set(events.map(({ page_id }) => page_id)).size).toBe(2)
  expect(new Set(events.map(({ visitor }) => visitor)).size).toBe(1)
  expect(events.map(({ seq }) => seq)).toEqual([0, 0])
})

test('a page that carries the tag twice is counted once, whatever the id of the tag', async () => {
  const page = await context.newPage()
  await page.clock.install()
  await page.goto(`${site.origin}/twice.html`)
  await watchBeacons(page).settle()
  await target.stored.until(times(1))
  await track(page, 'afterwards')
  await page.clock.runFor(5_000)
  const events = await target.stored.until(named('afterwards'))
  expect(events.map(({ name, seq }) => [name, seq])).toEqual([
    ['page_view', 0],
    ['afterwards', 1],
  ])
})

test('an empty data-app-version does not make the event invalid', async () => {
  await open('/unversioned.html')
  const [event] = await target.stored.until(times(1))
  expect(event).toMatchObject({ name: 'page_view', app_version: '' })
})

test('the strictest content security policy is satisfied', async () => {
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => complaints.push(message.text()))
  await page.goto(`${site.origin}/strict/plain.html`)
  await target.stored.until(times(1))
  expect(complaints.filter((text) => /content security policy/i.test(text) && !text.includes('data:,'))).toEqual([])
})

test('the immutable script runs pinned by its hash', async () => {
  await open('/pinned.html')
  const events = await target.stored.until(times(1))
  expect(events[0]).toMatchObject({ name: 'page_view', path: '/pinned.html' })
})

test.each([
  ['Global Privacy Control', () => Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { value: true })],
  ['Do Not Track', () => Object.defineProperty(Navigator.prototype, 'doNotTrack', { value: '1' })],
])('%s: nothing is sent', async (_name, signal) => {
  await context.addInitScript(signal)
  const page = await context.newPage()
  await page.clock.install()
  const beacons = watchBeacons(page)
  await page.goto(`${site.origin}/plain.html`)
  await page.evaluate(() => {
    window.footfall.rating(5)
    window.footfall.optIn()
    window.footfall.journey('permit').complete()
    window.footfall.flush()
  })
  await beacons.settle()
  expect(beacons.urls).toEqual([])
})

test('after an objection nothing is sent, on this page and on the next; taking it back counts again', async () => {
  const page = await context.newPage()
  await page.clock.install()
  const beacons = watchBeacons(page)
  await page.goto(`${site.origin}/plain.html`)
  await page.evaluate(() => {
    window.footfall.track('before')
    window.footfall.optOut()
    window.footfall.track('after')
  })
  await beacons.settle()
  await page.goto(`${site.origin}/other.html`)
  await track(page, 'on_the_next_page')
  await beacons.settle()
  expect(beacons.urls).toEqual([])
  expect(await page.evaluate(() => ({ ...localStorage }))).toEqual({ 'footfall-opt-out': '1' })

  await page.evaluate(() => window.footfall.optIn())
  await page.clock.runFor(5_000)
  const events = await target.stored.until(times(1))
  expect(events.map(({ name, path }) => [name, path])).toEqual([['page_view', '/other.html']])
  expect(await page.evaluate(() => localStorage.length)).toBe(0)
})

test('the link of the privacy page objects', async () => {
  const page = await context.newPage()
  await page.clock.install()
  const beacons = watchBeacons(page)
  await page.goto(`${site.origin}/plain.html#footfall-opt-out`)
  await beacons.settle()
  await page.goto(`${site.origin}/other.html`)
  await beacons.settle()
  expect(beacons.urls).toEqual([])
})

test('the same link on the page itself objects too, at once', async () => {
  const page = await context.newPage()
  await page.clock.install()
  await page.clock.pauseAt(Date.now() + 1_000)
  const beacons = watchBeacons(page)
  await page.goto(`${site.origin}/plain.html`)
  await page.evaluate(() => {
    document.body.insertAdjacentHTML('beforeend', '<a id="object" href="#footfall-opt-out">Do not count my visits</a>')
  })
  await page.click('#object')
  await beacons.settle()
  expect(beacons.urls).toEqual([])
  expect(await page.evaluate(() => ({ ...localStorage }))).toEqual({ 'footfall-opt-out': '1' })
})

test('nothing is stored on the device', async () => {
  const page = await open('/spa.html')
  await page.evaluate(() => {
    const journey = window.footfall.journey('permit')
    journey.step('car')
    journey.mark('save', { step: 'car' })
    journey.complete('granted')
    window.footfall.rating(4)
    window.footfall.track('map_opened', { props: { zoom: 3 }, value: 2 })
  })
  await page.click('#map')
  await target.stored.until(times(7))
  expect(await context.cookies()).toEqual([])
  const kept = await page.evaluate(async () => [
    localStorage.length,
    sessionStorage.length,
    (await indexedDB.databases()).length,
    (await caches.keys()).length,
    window.name,
    document.cookie,
  ])
  expect(kept).toEqual([0, 0, 0, 0, '', ''])
})

test.each([
  ['the Navigation API', () => undefined],
  ['no Navigation API', () => Object.defineProperty(window, 'navigation', { value: undefined })],
])('navigation within the page is followed with %s', async (_name, prepare) => {
  await context.addInitScript(prepare)
  const page = await context.newPage()
  await page.clock.install()
  await page.goto(`${site.origin}/spa.html`)
  const counted = async (pages: number): Promise<readonly EventRecord[]> => {
    await page.clock.runFor(10_000)
    return target.stored.until(times(pages))
  }
  await counted(1)
  const push = await page.evaluate(() => history.pushState.toString())
  await page.click('#map')
  await counted(2)
  // Neither a new query nor the same path again is another page.
  await page.evaluate(() => history.replaceState(null, '', '/spa/map?lat=61.5'))
  await page.clock.runFor(10_000)
  await page.evaluate(() => history.pushState(null, '', '#list'))
  await page.clock.runFor(10_000)
  await page.evaluate(() => history.pushState(null, '', '/spa/list'))
  await counted(3)
  await page.evaluate(() => history.go(-3))
  await page.waitForURL('**/spa.html')
  const events = await counted(4)
  expect(events.map(({ path, seq }) => [path, seq])).toEqual([
    ['/spa.html', 0],
    ['/spa/map', 1],
    ['/spa/list', 2],
    ['/spa.html', 3],
  ])
  expect(new Set(events.map(({ page_id }) => page_id)).size).toBe(1)
  expect(push).toContain('[native code]')
})

test('a page that comes back from the back/forward cache is another page view', async () => {
  const cached = await launchChromium({ backForwardCache: true })
  try {
    const within = await cached.newContext()
    const errors = watchErrors(within)
    const page = await open('/plain.html', within)
    await target.stored.until(times(1))
    await page.evaluate(() => {
      document.title = 'kept'
    })
    await page.click('a')
    await target.stored.until(times(2))
    await page.evaluate(() => history.back())
    const events = await target.stored.until(times(3))
    expect(await page.title()).toBe('kept')
    expect(events.map(({ path, seq }) => [path, seq])).toEqual([
      ['/plain.html', 0],
      ['/other.html', 0],
      ['/plain.html', 1],
    ])
    expect(errors).toEqual([])
  } finally {
    await cached.close()
  }
})

test('with data-auto="off" a page that comes back from the back/forward cache is not counted by itself', async () => {
  const cached = await launchChromium({ backForwardCache: true })
  try {
    const within = await cached.newContext()
    const page = await open('/manual.html', within)
    await page.evaluate(() => {
      document.title = 'kept'
      window.footfall.page()
      location.href = 'other.html'
    })
    await target.stored.until(times(2))
    await page.waitForURL('**/other.html')
    await page.evaluate(() => history.back())
    // Nothing is loaded again.
    await page.waitForURL('**/manual.html', { waitUntil: 'commit' })
    await track(page, 'back_again')
    const events = await target.stored.until(named('back_again'))
    expect(await page.title()).toBe('kept')
    expect(views(events).map(({ path }) => path)).toEqual(['/manual.html', '/other.html'])
  } finally {
    await cached.close()
  }
})

test('a journey over four server-rendered pages starts and completes, with nothing stored in between', async () => {
  const page = await open('/permit-1.html')
  for (const heading of ['car', 'address', 'done']) {
    await page.click('button')
    await page.waitForSelector(`h1:has-text("${heading}")`)
  }
  const events = await target.stored.until((stored) => named('journey_complete')(stored) && views(stored).length === 4)
  const start = events.find(({ name }) => name === 'journey_start')!
  const end = events.find(({ name }) => name === 'journey_complete')!
  expect(events).toHaveLength(6)
  expect(start).toMatchObject({ journey: 'parking_permit', path: '/permit-1.html', visitor: end.visitor })
  expect(start.journey_id).not.toBe('')
  // Without an id the server joins it to the latest open start of the same visitor.
  expect(end).toMatchObject({ journey: 'parking_permit', journey_id: '', outcome: 'granted', path: '/permit-4.html' })
})

test('a journey on one page keeps its id through steps, errors and completion', async () => {
  const page = await open('/plain.html')
  const id = await page.evaluate(() => {
    const journey = window.footfall.journey('permit')
    journey.step('car')
    journey.mark('error', { step: 'car' })
    journey.complete('refused')
    return journey.id
  })
  const events = await target.stored.until(named('journey_complete'))
  const told = events.filter(({ journey_id }) => journey_id === id)
  expect(told.map(({ name, journey_step, outcome }) => [name, journey_step, outcome])).toEqual([
    ['journey_start', '', ''],
    ['journey_step', 'car', ''],
    ['journey_error', 'car', ''],
    ['journey_complete', '', 'refused'],
  ])
})

test('with mode consent nothing is sent before the consent, and nothing after it is taken back', async () => {
  const page = await context.newPage()
  await page.clock.install()
  const beacons = watchBeacons(page)
  await page.goto(`${site.origin}/consent.html`)
  await track(page, 'too_early')
  await beacons.settle()
  expect(beacons.urls).toEqual([])

  await page.evaluate(() => window.footfall.consent(true))
  await page.clock.runFor(5_000)
  const events = await target.stored.until(times(1))
  expect(events.map(({ name, path }) => [name, path])).toEqual([['page_view', '/consent.html']])
  await page.evaluate(() => {
    window.footfall.track('regretted')
    window.footfall.consent(false)
    window.footfall.track('too_late')
  })
  const sent = beacons.urls.length
  await beacons.settle()
  expect(beacons.urls).toHaveLength(sent)
})

test('data-debug shows every event and every receipt', async () => {
  const page = await context.newPage()
  const shown: Promise<unknown>[] = []
  const receipts = new Promise<void>((resolve) => {
    page.on('console', (message) => {
      shown.push(message.args()[1]!.jsonValue())
      if (message.text().includes('receipts')) resolve()
    })
  })
  await page.clock.install()
  await page.clock.pauseAt(Date.now() + 1_000)
  await page.goto(`${site.origin}/debug.html`)
  await track(page, 'Not A Name')
  await page.clock.runFor(2_000)
  await receipts
  expect(await Promise.all(shown)).toMatchObject([
    { name: 'page_view', app_version: '2.1.0' },
    { name: 'Not A Name' },
    { accepted: 1, receipts: [{ index: 1, result: 'dropped', code: 'invalid_event' }] },
  ])
})

test('with data-auto="off" only the calls of the page count', async () => {
  const page = await open('/manual.html')
  await page.evaluate(() => history.pushState(null, '', '/elsewhere'))
  await page.evaluate(() => window.footfall.page(`${location.origin}/chosen`))
  const events = await target.stored.until(times(1))
  expect(events.map(({ path, seq }) => [path, seq])).toEqual([['/chosen', 0]])
})
