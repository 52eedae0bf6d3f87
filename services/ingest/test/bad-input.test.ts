import { connect } from 'node:net'
import { gzipSync, brotliCompressSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { makeBody, makeEvent, origin, startIngest, type TestIngest } from './ingest.ts'

let ingest: TestIngest
const unhandled: unknown[] = []
const note = (error: unknown): void => void unhandled.push(error)
/** Valid traffic beside the bad: all of it has to arrive, and nothing else. */
let valid = 0
let accepted = 0

beforeAll(async () => {
  process.on('unhandledRejection', note)
  ingest = await startIngest()
})
afterEach(async () => {
  const { status } = await ingest.post(makeBody([makeEvent({ name: 'beside' })]))
  expect(status).toBe(202)
  valid++
})
afterAll(async () => {
  const events = await ingest.events()
  expect(events.filter(({ name }) => name === 'beside')).toHaveLength(valid)
  expect(events).toHaveLength(valid + accepted)
  expect(unhandled).toEqual([])
  process.off('unhandledRejection', note)
  await ingest.close()
})

const documented = new Set([202, 400, 401, 403, 405, 408, 413, 415, 429, 503])
const send = async (body: string | Buffer, headers?: Record<string, string>) => {
  const result = await ingest.post(body, headers)
  expect(documented, `status ${result.status}`).toContain(result.status)
  accepted += result.answer.accepted ?? 0
  return result
}

/** Valid and invalid values by the grammar of RFC 8259, section by section. */
const goodValues = [
  '{}',
  '[]',
  '""',
  '0',
  '-0',
  '1e5',
  '1E+5',
  '1.5e-5',
  'true',
  'null',
  '"\\u00e9"',
  '"\\ud83d\\ude00"',
  '"\\/"',
  '"é"',
  ' [ 1 , 2 ] ',
  '{"a":{"b":[{}]}}',
  '"\\u0000"',
  '"\\ud800"',
  '1e400',
  '9007199254740993',
  '"\u2028"',
  '{"a":1,"a":2}',
  '{"":0}',
]
const badValues = [
  '',
  '{',
  '}',
  '[',
  ']',
  '[1,]',
  '[,1]',
  '[1 2]',
  '{"a"}',
  '{"a":}',
  '{"a":1,}',
  '{a:1}',
  "{'a':1}",
  '{"a":1 "b":2}',
  '01',
  '+1',
  '.5',
  '5.',
  '1e',
  '0x1',
  'NaN',
  'Infinity',
  '-Infinity',
  'undefined',
  'True',
  'nul',
  '"',
  '"a',
  "'a'",
  '"\\x"',
  '"\\u12"',
  '"\t"',
  '"\n"',
  '/**/1',
  '1//',
  '[1]]',
  '{}{}',
  '`a`',
  '"\\"',
  '[1:2]',
  '{"a":1:2}',
  '--1',
  '1-',
  '- 1',
  '[-]',
  '{"a" "b"}',
  '\u00a01',
]

describe('JSON of every kind', () => {
  const transports = [
    ['text/plain', false],
    ['application/json', false],
    ['application/json; charset=utf-8', true],
  ] as const
  test.each(transports)('as %s, gzip %s: what is no JSON is refused with 400', async (type, gzip) => {
    const pack = (text: string): [string | Buffer, Record<string, string>] => [
      gzip ? gzipSync(text) : text,
      { 'content-type': type, ...(gzip ? { 'content-encoding': 'gzip' } : {}) },
    ]
    for (const value of badValues) {
      // As the whole body, and as a value deep inside one that is right otherwise.
      for (const text of [value, makeBody([makeEvent()]).replace(/"at":\d+/, () => `"at":${value}`)]) {
        const { status, answer } = await send(...pack(text))
        expect([status, answer.error?.code], text).toEqual([400, 'MALFORMED_JSON'])
      }
    }
  })

  test.each(transports)('as %s, gzip %s: what is JSON but no beacon gets a documented answer', async (type, gzip) => {
    for (const value of goodValues) {
      for (const text of [
        value,
        makeBody().replace(/"events":/, () => `"events":${value},"more":`),
        makeBody([makeEvent()]).replace(/"url":"[^"]*"/, () => `"props":${value}`),
      ]) {
        const body = gzip ? gzipSync(text) : text
        await send(body, { 'content-type': type, ...(gzip ? { 'content-encoding': 'gzip' } : {}) })
      }
    }
  })

  test('bytes that are not UTF-8 are refused', async () => {
    for (const bytes of [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80], [0xc0, 0xaf]]) {
      const [head, tail] = makeBody([makeEvent({ props: { text: '§' } })]).split('§')
      expect((await send(Buffer.concat([Buffer.from(head!), Buffer.from(bytes), Buffer.from(tail!)]))).status).toBe(400)
    }
  })

  test.each(['__proto__', 'constructor'])('a key "%s" pollutes nothing', async (name) => {
    for (const body of [
      `{"${name}":{"prototype":{"hacked":1}},"key":"x"}`,
      makeBody([makeEvent()]).replace('"name"', `"props":{"${name}":{"prototype":{"hacked":1}}},"name"`),
    ]) {
      await send(body)
      expect(({} as { hacked?: number }).hacked).toBeUndefined()
    }
  })

  test.each([10, 1_000, 5_000, 30_000])('nesting %i deep is refused, not fatal', async (depth) => {
    const nested = '['.repeat(depth) + ']'.repeat(depth)
    expect((await send(makeBody([makeEvent()]).replace('"name"', `"props":${nested},"name"`))).status).toBeLessThan(500)
    expect((await send(nested)).status).toBe(400)
  })
})

describe('limits, one below and one above', () => {
  const receiptOf = async (event: Record<string, unknown>) =>
    (await send(makeBody([event]))).answer.receipts?.[0]?.code ?? 'accepted'
  test.each([
    ['name', (n: number) => ({ name: 'n'.repeat(n) }), 64],
    ['url', (n: number) => ({ url: `${origin}/`.padEnd(n, 'a') }), 2048],
    ['screen', (n: number) => ({ screen: 's'.repeat(n) }), 256],
    [
      'props',
      (n: number) => ({ props: Object.fromEntries(Array.from({ length: n }, (_, index) => [`p${index}`, 1])) }),
      64,
    ],
    ['prop name', (n: number) => ({ props: { ['p'.repeat(n)]: 1 } }), 64],
    ['prop text', (n: number) => ({ props: { p: 'x'.repeat(n) } }), 1024],
    ['app_version', (n: number) => ({ app_version: 'v'.repeat(n) }), 64],
    ['dataset', (n: number) => ({ dataset: 'd'.repeat(n) }), 256],
    ['journey id', (n: number) => ({ journey: { name: 'pay', id: 'j'.repeat(n) } }), 64],
    ['rating', (n: number) => ({ name: 'rating', rating: n }), 5],
  ])('%s', async (_name, fields, limit) => {
    expect(await receiptOf(makeEvent(fields(limit)))).toBe('accepted')
    expect(await receiptOf(makeEvent(fields(limit + 1)))).toBe('invalid_event')
  })

  test('100 events a request; more are refused whole, with an answer as small as the request', async () => {
    const events = (count: number): string => makeBody(Array.from({ length: count }, () => makeEvent({ url: origin })))
    expect((await send(events(100))).answer.accepted).toBe(100)
    expect((await send(events(101))).answer.error?.code).toBe('INVALID_REQUEST')
    const { status, answer } = await send(gzipSync(makeBody(Array<number>(30_001).fill(0))), {
      'content-encoding': 'gzip',
    })
    expect([status, JSON.stringify(answer).length < 500]).toEqual([400, true])
  })

  test('16 KiB an event', async () => {
    const sized = (bytes: number): Record<string, unknown> => {
      const props = Object.fromEntries(Array.from({ length: 15 }, (_, index) => [`p${index}`, 'x'.repeat(1024)]))
      const event = makeEvent({ props })
      const missing = bytes - JSON.stringify({ ...event, screen: '', app_version: '' }).length
      return {
        ...event,
        screen: 's'.repeat(Math.min(256, missing)),
        app_version: '',
        props: { ...props, p15: 'x'.repeat(Math.max(0, missing - 256 - 9)) },
      }
    }
    const exact = sized(16_384 - 9)
    const fill = 16_384 - JSON.stringify(exact).length
    expect(Math.abs(fill)).toBeLessThan(200)
    const over = { ...exact, dataset: 'd'.repeat(250) }
    const filler = makeEvent({ props: { a: 'x'.repeat(1_000) } })
    const { answer } = await send(makeBody([over, filler]))
    expect(answer.receipts?.[0]?.code ?? 'accepted').toBe(
      JSON.stringify(over).length > 16_384 ? 'event_too_large' : 'invalid_event',
    )
  })

  test('64 KiB a body with a public key, whatever its compression', async () => {
    const body = makeBody(Array.from({ length: 60 }, () => makeEvent({ props: { p: 'x'.repeat(850) } })))
    const exact = body.padEnd(65_536, ' ')
    expect((await send(exact)).status).toBe(202)
    expect((await send(`${exact} `)).status).toBe(413)
    expect((await send(gzipSync(`${exact} `), { 'content-encoding': 'gzip' })).status).toBe(413)
  })

  test('512 KiB a body with a server key', async () => {
    const secret = await ingest.registry.createServerKey('app', 'test')
    const exact = makeBody([makeEvent()], { key: secret }).padEnd(524_288, ' ')
    expect((await send(exact)).status).toBe(202)
    expect((await send(`${exact} `)).status).toBe(413)
  })
})

describe('encodings', () => {
  const big = Buffer.alloc(200 * 1024 * 1024, 32)
  test('a bomb is refused before it grows', async () => {
    const before = process.memoryUsage().rss
    expect((await send(gzipSync(big), { 'content-encoding': 'gzip' })).status).toBe(413)
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024)
  })
  test.each([
    ['cut off', () => gzipSync(makeBody()).subarray(0, -5)],
    ['not gzip at all', () => Buffer.from(makeBody())],
    ['gzip in gzip', () => gzipSync(gzipSync(makeBody()))],
    ['empty', () => Buffer.alloc(0)],
  ])('gzip that is %s is refused with 400', async (_name, make) => {
    expect((await send(make(), { 'content-encoding': 'gzip' })).status).toBe(400)
  })
  test.each(['gzip', 'GZIP', ' Gzip '])('%s is read', async (encoding) => {
    expect((await send(gzipSync(makeBody()), { 'content-encoding': encoding })).status).toBe(202)
  })
  test.each(['br', 'deflate', 'zstd', 'gzip, gzip', 'x-gzip'])('%s is refused with 415', async (encoding) => {
    expect((await send(brotliCompressSync(makeBody()), { 'content-encoding': encoding })).status).toBe(415)
  })
  test.each([
    'text/html',
    'application/xml',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded',
    'application/jsonp',
    'x',
  ])('the content type %s is refused with 415', async (type) => {
    expect((await send(makeBody(), { 'content-type': type })).status).toBe(415)
  })
})

describe('text that breaks things', () => {
  const naughty = [
    '\u0000',
    '\u202eabc',
    '\ud800',
    '𝕏',
    'ﷺ',
    '😀👩‍👩‍👧',
    "'; DROP TABLE events; --",
    '" OR 1=1',
    '<script>alert(1)</script>',
    '{{7*7}}',
    '${7*7}',
    '../../etc/passwd',
    '%00',
    '%n%s',
    '=1+1',
    '@SUM(1)',
    '\\',
    '\\u0041',
    'NULL',
    'undefined',
    'NaN',
    '-0',
    '1e400',
    '\r\n\r\n',
    '\t',
    'İ',
    'ﬀ',
    '\u{1F1EB}',
    '\u200b',
    '\ufeff',
    'a\u0301',
    'x'.repeat(1024),
  ]
  test('arrives well-formed, without control characters, wherever it stands', async () => {
    for (const text of naughty) {
      const { status, answer } = await send(
        makeBody([
          makeEvent({
            name: 'naughty',
            props: { text },
            screen: text.slice(0, 256) || 'x',
            dataset: text.slice(0, 256) || 'x',
            url: `${origin}/${encodeURIComponent(text.toWellFormed()).slice(0, 1_000)}`,
          }),
        ]),
      )
      expect([status, answer.accepted], JSON.stringify(text)).toEqual([202, 1])
    }
    const found = (await ingest.events()).filter(({ name }) => name === 'naughty')
    expect(found).toHaveLength(naughty.length)
    for (const { props, path, screen } of found) {
      for (const text of [props.text!, path, screen]) {
        expect(text.isWellFormed()).toBe(true)

        expect(text).not.toMatch(/[\u0000-\u001f\u007f\u202a-\u202e]/)
      }
    }
  })
})

describe('raw sockets', () => {
  const talk = (text: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(ingest.port, '127.0.0.1', () => socket.write(text))
      let heard = ''
      socket.on('data', (chunk) => {
        heard += chunk.toString('latin1')
        if (heard.includes('\r\n\r\n')) socket.end()
      })
      socket.on('error', () => resolve(heard))
      socket.on('close', () => resolve(heard))
    })
  test.each([
    ['no HTTP at all', 'hello\r\n\r\n'],
    ['a header that is none', 'POST /v1/events HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n'],
    ['two lengths', 'POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na'],
    [
      'a length and chunks',
      'POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a chunk that lies', 'POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'],
  ])('%s is refused with 400', async (_name, text) => {
    expect(await talk(text)).toMatch(/^HTTP\/1\.1 400/)
  })
})
