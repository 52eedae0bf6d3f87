import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dropReasons } from '@footfall/contracts/drop-reason'
import { PipelineError } from '@footfall/contracts/errors'
import { key, makeBody, makeEvent, origin, startIngest, type TestIngest } from './ingest.ts'

let ingest: TestIngest
beforeAll(async () => {
  ingest = await startIngest()
})
afterAll(() => ingest.close())

const last = async () => (await ingest.events()).at(-1)!

describe('an accepted event', () => {
  test('is in the log when 202 is answered, complete and clean', async () => {
    const event = makeEvent({
      url: `${origin}/schools/8123456/anna@example.org?token=canary#top`,
      referrer: 'https://www.search.example/q?secret=canary',
      props: { grade: 3, mail: 'anna@example.org' },
    })
    const { status, answer } = await ingest.post(makeBody([event], { page_id: 'p1' }), {
      'user-agent':
        'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1',
    })
    expect([status, answer]).toEqual([202, { accepted: 1, receipts: [] }])
    expect(await last()).toMatchObject({
      deployment: 'app',
      source: 'beacon',
      host: 'app.example',
      path: '/schools/:id/:email',
      referrer: 'search.example',
      props: { grade: '3', mail: ':email' },
      device: 'mobile',
      system: 'iOS',
      bot: false,
      test: false,
      page_id: 'p1',
    })
    expect((await last()).visitor).not.toBe('0')
  })

  test('makes the same visitor of the same sender on a day, and another in another deployment', async () => {
    await ingest.post(makeBody([makeEvent(), makeEvent()]))
    const [one, two] = (await ingest.events()).slice(-2)
    await ingest.post(makeBody([makeEvent()], { key: 'pk_test_strict_key' }))
    expect(two!.visitor).toBe(one!.visitor)
    expect((await last()).visitor).not.toBe(one!.visitor)
  })

  test('has no visitor when it is older than yesterday, and is late after seven days', async () => {
    const day = 86_400_000
    await ingest.post(makeBody([makeEvent({ at: Date.now() - 3 * day }), makeEvent({ at: Date.now() - 8 * day })]))
    const [old, late] = (await ingest.events()).slice(-2)
    expect([old!.visitor, old!.late, late!.late]).toEqual(['0', false, true])
  })

  test.each([
    ['a clock three hours fast', 3 * 3_600_000],
    ['a clock two days slow', -2 * 86_400_000],
  ])('is put right when the sender has %s', async (_name, skew) => {
    const before = Date.now()
    await ingest.post(makeBody([makeEvent({ at: before + skew - 5_000 })], { sent_at: before + skew }))
    const event = await last()
    expect(event.clock_corrected).toBe(true)
    expect(Math.abs(event.at - (before - 5_000))).toBeLessThan(2_000)
  })

  test('happened in this century, whatever its sender’s two clocks say', async () => {
    await ingest.post(makeBody([makeEvent({ at: 946_684_800_000 })], { sent_at: 4_102_444_799_000 }))
    const event = await last()
    expect([event.at, event.clock_corrected, event.late]).toEqual([946_684_800_000, true, true])
  })

  test('cannot happen after it arrives', async () => {
    await ingest.post(makeBody([makeEvent({ at: Date.now() + 86_400_000 })]))
    const event = await last()
    expect(event.at).toBe(event.received_at)
    expect(event.clock_corrected).toBe(true)
  })

  test('is a test when it comes from this machine or a test origin', async () => {
    for (const from of ['http://localhost:3000', 'http://127.0.0.1', 'https://test.example']) {
      expect((await ingest.post(makeBody([makeEvent({ url: `${from}/page` })]), { origin: from })).status).toBe(202)
      expect((await last()).test, from).toBe(true)
    }
  })

  test('is marked when a bot sends it', async () => {
    await ingest.post(makeBody(), {
      'user-agent': 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
    })
    expect(await last()).toMatchObject({ bot: true })
  })

  test('has the same content sum at a second try, and another when it says something else', async () => {
    const event = makeEvent({ attempt: 1 })
    await ingest.post(makeBody([event]))
    await ingest.post(makeBody([{ ...event, attempt: 2 }], { sent_at: Date.now() + 1 }))
    await ingest.post(makeBody([{ ...event, url: `${origin}/other` }]))
    const [one, two, three] = (await ingest.events()).slice(-3)
    expect(two!.content).toBe(one!.content)
    expect(three!.content).not.toBe(one!.content)
  })
})

describe('a refused event', () => {
  test('gets a receipt while the others are accepted', async () => {
    const { status, answer } = await ingest.post(
      makeBody([
        makeEvent(),
        makeEvent({ id: '1' }),
        makeEvent({ url: 'javascript:1' }),
        makeEvent({ rating: 6, name: 'rating' }),
        7,
      ]),
    )
    expect(status).toBe(202)
    expect(answer.accepted).toBe(1)
    expect(answer.receipts?.map(({ index, code, result }) => [index, code, result])).toEqual(
      [1, 2, 3, 4].map((index) => [index, 'invalid_event', 'dropped']),
    )
    expect(answer.receipts?.[0]?.message).toContain('events[1].id')
  })

  test.each([
    [{ 'sec-gpc': '1' }, 'opted_out'],
    [{ dnt: '1' }, 'opted_out'],
  ])('leaves nothing when the visitor objects: %o', async (headers, code) => {
    const before = (await ingest.events()).length
    const { status, answer } = await ingest.post(makeBody(), headers)
    expect([status, answer.accepted, answer.receipts?.[0]?.code]).toEqual([202, 0, code])
    expect((await ingest.events()).length).toBe(before)
  })

  test.each(['app', 'server'])('leaves nothing, not even its fault, when the visitor objects: %s key', async (kind) => {
    const used = kind === 'app' ? key : await ingest.registry.createServerKey('app', 'test')
    const { answer } = await ingest.post(makeBody([makeEvent({ id: 'no id' }), 7], { key: used }), { 'sec-gpc': '1' })
    expect(answer.receipts?.map(({ code, message }) => [code, message])).toEqual(
      [1, 2].map(() => ['opted_out', dropReasons.opted_out.message]),
    )
  })

  test('is told which field is at fault, in words that hold nothing of what was sent', async () => {
    const faulty = [
      { 'anna@example.org': 1 },
      { url: 'x'.repeat(3_000) },
      { props: { '0401234567': {} } },
      { props: { ['anna'.repeat(20)]: 1 } },
      { journey: { name: 'pay', 'anna@example.org': 1 } },
      { name: 'journey_anna' },
    ]
    const { answer } = await ingest.post(makeBody(faulty.map(makeEvent)))
    expect(answer.receipts?.map(({ message }) => /\((.*)\)/.exec(message)?.[1])).toEqual([
      'events[0]: has a field that is not known',
      'events[1].url: too large or too long',
      'events[2].props.…: of another type',
      'events[3].props.…: has a name that is too short or too long',
      'events[4].journey: has a field that is not known',
      'events[5].journey: required for this event, or too many',
    ])
    const long = await ingest.post(JSON.stringify({ ['anna'.repeat(10_000)]: 1, ...JSON.parse(makeBody()) }))
    expect(long.answer.error?.message).toContain('(the body: has a field that is not known)')
  })

  test('is one that a page sends of another host; a server may send of any', async () => {
    const events = [makeEvent(), makeEvent({ url: 'https://other.example/' }), makeEvent({ url: `${origin}:444/` })]
    const { answer } = await ingest.post(makeBody(events))
    expect([answer.accepted, answer.receipts?.map(({ index, code }) => [index, code])]).toEqual([
      1,
      [1, 2].map((index) => [index, 'origin_not_allowed']),
    ])
    const secret = await ingest.registry.createServerKey('app', 'test')
    expect((await ingest.post(makeBody(events, { key: secret }))).answer.accepted).toBe(3)
  })

  test('may tell of every moment of a journey where names are declared', async () => {
    const events = ['start', 'step', 'error', 'save', 'resume', 'complete'].map((moment) =>
      makeEvent({ name: `journey_${moment}`, journey: { name: 'permit', step: 'car' } }),
    )
    const { answer } = await ingest.post(makeBody(events, { key: 'pk_test_strict_key' }))
    expect(answer).toMatchObject({ accepted: 6, receipts: [] })
  })

  test('is told that measurement is off, or that its name is not declared', async () => {
    expect((await ingest.post(makeBody([makeEvent()], { key: 'pk_test_off_key' }))).answer.receipts?.[0]?.code).toBe(
      'mode_off',
    )
    expect(
      (await ingest.post(makeBody([makeEvent({ name: 'unknown' })], { key: 'pk_test_strict_key' }))).answer
        .receipts?.[0]?.code,
    ).toBe('undeclared_name')
    expect(
      (await ingest.post(makeBody([makeEvent({ name: 'known' })], { key: 'pk_test_strict_key' }))).answer.accepted,
    ).toBe(1)
  })
})

describe('a refused request', () => {
  test.each([
    ['no origin', {}, null, 403, 'ORIGIN_NOT_ALLOWED'],
    ['a null origin', {}, 'null', 403, 'ORIGIN_NOT_ALLOWED'],
    ['another origin', {}, 'https://evil.example', 403, 'ORIGIN_NOT_ALLOWED'],
    ['its own host on another port', {}, 'https://app.example:444', 403, 'ORIGIN_NOT_ALLOWED'],
    ['its own host without https', {}, 'http://app.example', 403, 'ORIGIN_NOT_ALLOWED'],
    ['a host that ends alike', {}, 'https://notapp.example', 403, 'ORIGIN_NOT_ALLOWED'],
    ['a local-looking host', {}, 'http://localhost.evil.example', 403, 'ORIGIN_NOT_ALLOWED'],
    ['an unknown key', { key: 'pk_unknown_key' }, origin, 401, 'UNAUTHORIZED'],
    ['no key', { key: undefined }, origin, 401, 'UNAUTHORIZED'],
    ['a number as key', { key: 7 }, origin, 401, 'UNAUTHORIZED'],
    ['a key too long', { key: 'x'.repeat(129) }, origin, 401, 'UNAUTHORIZED'],
    ['no events', { events: [] }, origin, 400, 'INVALID_REQUEST'],
    ['a field nobody knows', { more: 1 }, origin, 400, 'INVALID_REQUEST'],
    ['seconds for milliseconds', { sent_at: 1_767_225_600 }, origin, 400, 'INVALID_REQUEST'],
  ])('%s', async (_name, fields, from, status, code) => {
    const response = await fetch(`${ingest.url}/v1/events`, {
      method: 'POST',
      body: makeBody(undefined, fields),
      headers: from === null ? {} : { origin: from },
    })
    const answer = (await response.json()) as { error: { code: string; hint: string } }
    expect([response.status, answer.error.code]).toEqual([status, code])
    expect(answer.error.hint).not.toBe('')
  })

  test('a server key needs no origin, has no visitor, and is known by its hash, which is no key', async () => {
    const secret = await ingest.registry.createServerKey('app', 'test')
    const post = (used: string) =>
      fetch(`${ingest.url}/v1/events`, { method: 'POST', body: makeBody(undefined, { key: used }) })
    expect((await post(secret)).status).toBe(202)
    expect((await last()).visitor).toBe('0')
    const kept = [...ingest.registry.state().keys.values()]
    expect(JSON.stringify(kept)).not.toContain(secret)
    for (const { id } of kept.filter(({ kind }) => kind === 'server')) expect((await post(id)).status).toBe(401)
  })

  test('a revoked key and a retired deployment end within the same second, without a restart', async () => {
    await ingest.registry.apply(
      {
        deployments: [
          {
            id: 'brief',
            app: 'a',
            organisation: 'o',
            time_zone: 'UTC',
            origins: [origin],
            mode: 'exempt',
            keys: ['pk_brief_one', 'pk_brief_two'],
          },
        ],
      },
      { actor: 'test' },
    )
    expect((await ingest.post(makeBody(undefined, { key: 'pk_brief_one' }))).status).toBe(202)
    await ingest.registry.revoke({ key: 'pk_brief_one' }, 'test')
    expect((await ingest.post(makeBody(undefined, { key: 'pk_brief_one' }))).status).toBe(401)
    await ingest.registry.retire('deployment', 'brief', 'test')
    expect((await ingest.post(makeBody(undefined, { key: 'pk_brief_two' }))).answer.receipts?.[0]?.code).toBe(
      'deployment_retired',
    )
  })
})

test('500 people behind one address are all counted with the limits as they come', async () => {
  const own = await startIngest({ RATE_LIMIT_PER_KEY: 2_000, RATE_LIMIT_PER_ADDRESS: 200 })
  try {
    const people = await Promise.all(
      Array.from({ length: 500 }, (_, person) =>
        own.post(makeBody([makeEvent(), makeEvent()]), {
          'user-agent': `Mozilla/5.0 (X11; Linux x86_64) Firefox/${person}`,
        }),
      ),
    )
    expect(people.every(({ status, answer }) => status === 202 && answer.accepted === 2)).toBe(true)
    expect(new Set((await own.events()).map(({ visitor }) => visitor)).size).toBe(500)
  } finally {
    await own.close()
  }
})

test('a flood is asked to wait, and is told which events to send again', async () => {
  const own = await startIngest({ RATE_LIMIT_PER_KEY: 5, RATE_LIMIT_PER_ADDRESS: 5 }, () => 1_767_225_600_000)
  try {
    const body = makeBody(
      Array.from({ length: 60 }, () => makeEvent({ at: 1_767_225_600_000 })),
      { sent_at: 1_767_225_600_000 },
    )
    const { status, answer } = await own.post(body)
    expect([status, answer.accepted, answer.receipts?.length, answer.receipts?.[0]?.result]).toEqual([
      202,
      50,
      10,
      'retry',
    ])
    const refused = await own.post(body)
    expect([refused.status, refused.answer.error?.code]).toEqual([429, 'RATE_LIMITED'])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  } finally {
    await own.close()
  }
})

test('a flood of refused requests is no longer read; what is accepted costs nothing of that', async () => {
  const at = 1_767_225_600_000
  const own = await startIngest({ RATE_LIMIT_PER_ADDRESS: 1 }, () => at)
  const body = makeBody([makeEvent({ at })], { sent_at: at })
  try {
    // What is accepted uses up nothing of it, and 429 is no reason for another.
    for (let time = 0; time < 10; time++) expect((await own.post(body)).status).toBe(202)
    for (let time = 0; time < 10; time++) {
      expect((await own.post(body)).status).toBe(429)
      expect((await own.post(time % 2 ? '{' : makeBody([7], { key: 'pk_unknown_key' }))).status).not.toBe(429)
    }
    const refused = await own.post('{')
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1'])
    expect((await fetch(`${own.url}/healthz`)).status).toBe(200)
  } finally {
    await own.close()
  }
})

test('refusals that a full log could not take are counted once it can', async () => {
  let full = true
  const own = await startIngest({}, undefined, (log) => ({
    ...log,
    append: (topic, records) => (full ? Promise.reject(new PipelineError('LOG_FULL')) : log.append(topic, records)),
  }))
  try {
    await own.post(makeBody([7, 7, 7]))
    await own.ingest.handOver()
    await own.post(makeBody([7]))
    full = false
    await own.ingest.handOver()
    const refused = (await own.refusals()).filter(({ deployment }) => deployment === 'app')
    expect(refused.reduce((sum, { count }) => sum + count, 0)).toBe(4)
  } finally {
    await own.close()
  }
})

test('events that are not counted anyway leave the limits to others', async () => {
  const at = 1_767_225_600_000
  const own = await startIngest({ RATE_LIMIT_PER_KEY: 5, RATE_LIMIT_PER_ADDRESS: 5 }, () => at)
  const send = (count: number, fields: object) =>
    own.post(
      makeBody(
        Array.from({ length: count }, () => makeEvent({ at })),
        { sent_at: at, ...fields },
      ),
    )
  try {
    expect((await send(60, { key: 'pk_test_off_key' })).answer.receipts).toHaveLength(60)
    expect((await send(101, {})).status).toBe(400)
    expect((await send(50, {})).answer.accepted).toBe(50)
  } finally {
    await own.close()
  }
})

describe('beside the beacon', () => {
  test('the pixel counts a page for pages without scripts', async () => {
    const response = await fetch(`${ingest.url}/v1/pixel.gif?key=${key}`, {
      headers: { referer: `${origin}/plain?x=1` },
    })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/gif'])
    expect(await last()).toMatchObject({ name: 'page_view', path: '/plain' })
  })

  test('looking whether the pixel is there counts nothing', async () => {
    const before = (await ingest.events()).length
    const request = { method: 'HEAD', headers: { referer: `${origin}/plain` } }
    const response = await fetch(`${ingest.url}/v1/pixel.gif?key=${key}`, request)
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/gif'])
    expect((await ingest.events()).length).toBe(before)
  })

  test('the counters, which anybody may read, tell nothing of a deployment', async () => {
    await ingest.post(makeBody([makeEvent(), 7]))
    const text = await (await fetch(`${ingest.url}/metrics`)).text()
    expect(text).toMatch(/^footfall_events_accepted_total \d+$/m)
    expect(text).toMatch(/^footfall_events_refused_total\{reason="invalid_event"\} \d+$/m)
    expect(text).not.toContain('deployment="')
  })

  test('the privacy page says what is counted and offers the objection', async () => {
    const text = await (await fetch(`${ingest.url}/privacy/app`)).text()
    for (const part of ['The app', 'data@o.example', '13 months', `${origin}#footfall-opt-out`])
      expect(text).toContain(part)
    expect((await fetch(`${ingest.url}/privacy/none`)).status).toBe(404)
  })

  test('a preflight is answered for any page, since answers hold nothing secret', async () => {
    const response = await fetch(`${ingest.url}/v1/events`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST' },
    })
    expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([204, origin])
  })

  test.each([
    ...['GET', 'PUT', 'DELETE', 'PATCH', 'QUERY'].map((method) => [method, '/v1/events', 'POST, OPTIONS']),
    ...['POST', 'DELETE', 'QUERY'].flatMap((method) =>
      ['/v1/pixel.gif', '/footfall.js'].map((path) => [method, path, 'GET, HEAD']),
    ),
  ])('%s %s is refused with what is allowed', async (method, path, allowed) => {
    const response = await fetch(ingest.url + path, { method: method, headers: { 'content-type': 'x/y' } })
    const answer = (await response.json()) as { error: { code: string } }
    expect([response.status, response.headers.get('allow'), answer.error.code]).toEqual([
      405,
      allowed,
      'METHOD_NOT_ALLOWED',
    ])
  })

  test('refusals are kept as counts on a topic of their own, without what was sent', async () => {
    await ingest.post(makeBody([makeEvent({ id: 'CANARY' })]))
    await ingest.ingest.handOver()
    const text = JSON.stringify(await ingest.refusals())
    expect(text).toContain('invalid_event')
    expect(text).not.toContain('CANARY')
  })
})
