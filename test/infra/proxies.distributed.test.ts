import { once } from 'node:events'
import { createServer, request, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeBody, makeEvent, origin, startIngest, type TestIngest } from '../../services/ingest/test/ingest.ts'
import { startProxy, type Proxy } from '../servers/proxy.ts'

/** Answers with its name and what came. */
async function startEcho(name: string): Promise<{ port: number; server: Server }> {
  const server = createServer((incoming, answer) => {
    incoming.resume()
    incoming.on('end', () => answer.end(JSON.stringify({ name, url: incoming.url, headers: incoming.headers })))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, server }
}

/** A request from an address of loopback's. */
async function send(
  url: string,
  options: { from?: string; body?: string | Buffer; headers?: Record<string, string> } = {},
): Promise<{ status: number; text: string; headers: IncomingHttpHeaders }> {
  const { from = '127.0.0.2', body, headers = {} } = options
  const asked = request(url, {
    localAddress: from,
    agent: false,
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      'user-agent': 'Mozilla/5.0 Firefox/128.0',
      ...(body === undefined
        ? {}
        : { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(body), origin }),
      ...headers,
    },
  })
  asked.end(body)
  const [answer] = (await once(asked, 'response')) as [NodeJS.ReadableStream & { statusCode: number; headers: never }]
  let text = ''
  for await (const chunk of answer) text += String(chunk)
  return { status: answer.statusCode, text, headers: answer.headers }
}

describe.each(['nginx', 'caddy'] as const)('%s with our recipe', (kind) => {
  const echoes: Server[] = []
  let ingests: TestIngest[]
  let proxy: Proxy
  /** The same, with servers behind it that tell what they get. */
  let mirror: Proxy
  beforeAll(async () => {
    ingests = [await startIngest(trusting), await startIngest(trusting)]
    const [consoleEcho, appEcho, ingestEcho] = [
      await startEcho('console'),
      await startEcho('app'),
      await startEcho('ingest'),
    ]
    echoes.push(consoleEcho.server, appEcho.server, ingestEcho.server)
    const others = { console: consoleEcho.port, app: appEcho.port }
    proxy = await startProxy(kind, { ingests: ingests.map(({ port }) => port), ...others })
    mirror = await startProxy(kind, { ingests: [ingestEcho.port], ...others })
  })
  afterAll(async () => {
    await proxy.stop()
    await mirror.stop()
    for (const server of echoes) server.close()
    for (const ingest of ingests) await ingest.close()
  })
  const trusting = { TRUSTED_PROXIES: ['127.0.0.1'] }
  const events = async () => (await Promise.all(ingests.map((ingest) => ingest.events()))).flat()
  const addresses = () => [`${proxy.own}/v1/events`, `${proxy.app}/footfall/v1/events`]
  const what = (text: string): string => (JSON.parse(text) as { name: string }).name

  test('takes beacons on its own host and below a path of the app’s, compressed or not', async () => {
    for (const url of addresses()) {
      for (const [body, headers] of [
        [makeBody(), {}],
        [gzipSync(makeBody()), { 'content-encoding': 'gzip' }],
      ] as const) {
        const { status, text } = await send(url, { body, headers })
        expect([status, text]).toEqual([202, '{"accepted":1,"receipts":[]}'])
      }
    }
  })

  test('serves the SDK where it makes beacons go to the same host', async () => {
    for (const url of [`${proxy.own}/footfall.js`, `${proxy.app}/footfall/footfall.js`]) {
      expect((await send(url)).text).toBe('void 0')
      // As the SDK does.
      const endpoint = new URL('v1/events', url).href
      expect((await send(endpoint, { body: makeBody() })).status).toBe(202)
    }
    for (const path of ['footfall-0-x.js', 'footfall.json', 'privacy/app', 'v1/pixel.gif?key=none']) {
      const [own, below] = [await send(`${proxy.own}/${path}`), await send(`${proxy.app}/footfall/${path}`)]
      expect(own.headers['content-type'], path).toBe(below.headers['content-type'])
      expect(own.headers['content-type'], path).toBeDefined()
      expect([own.status, own.text], path).toEqual([below.status, below.text])
    }
  })

  test('leaves everything else to the console, and on the app’s host to the app', async () => {
    for (const path of ['', 'live', 'api/v1/ledger', 'v1/other', 'privacy'])
      expect(what((await send(`${proxy.own}/${path}`)).text)).toBe('console')
    for (const path of ['', 'v1/events', 'footfall/', 'footfall/live', 'footfall/api/v1/ledger', 'footfall/metrics'])
      expect(what((await send(`${proxy.app}/${path}`)).text)).toBe('app')
    expect((await send(`${proxy.own}/metrics`)).status).toBe(404)
  })

  test('tells the sender that is connected, whatever the sender says', async () => {
    const before = (await events()).length
    for (const url of addresses()) {
      for (const [from, headers] of [
        ['127.0.0.2', {}],
        ['127.0.0.2', { 'x-forwarded-for': '192.0.2.9', 'cf-ipcountry': 'SE' }],
        ['127.0.0.3', {}],
      ] as const)
        await send(url, { from, body: makeBody(), headers })
    }
    const sent = await events()
    expect(sent).toHaveLength(before + 6)
    expect(new Set(sent.map(({ country }) => country))).toEqual(new Set(['']))
    for (const url of [`${mirror.own}/v1/events`, `${mirror.app}/footfall/v1/events`]) {
      const { text } = await send(url, {
        from: '127.0.0.3',
        body: gzipSync('{}'),
        headers: {
          'x-forwarded-for': '192.0.2.9',
          'cf-ipcountry': 'SE',
          cookie: 'session=app',
          authorization: 'Basic app',
          'content-encoding': 'gzip',
          'sec-gpc': '1',
        },
      })
      const { headers } = JSON.parse(text) as { headers: IncomingHttpHeaders }
      expect(headers).toMatchObject({
        'x-forwarded-for': '127.0.0.3',
        'content-encoding': 'gzip',
        'sec-gpc': '1',
        origin,
      })
      for (const name of ['cookie', 'authorization', 'cf-ipcountry']) expect(headers).not.toHaveProperty(name)
    }
  })

  test('makes two addresses two visitors of an ingest, and one address one', async () => {
    const only = await startIngest(trusting)
    const alone = await startProxy(kind, { ingests: [only.port], console: 9, app: 9 })
    for (const from of ['127.0.0.2', '127.0.0.2', '127.0.0.3'])
      await send(`${alone.own}/v1/events`, { from, body: makeBody(), headers: { 'x-forwarded-for': '192.0.2.9' } })
    const [one, again, other] = (await only.events()).map(({ visitor }) => visitor)
    expect(again).toBe(one)
    expect(other).not.toBe(one)
    await alone.stop()
    await only.close()
  })

  test('refuses what is too large, and nginx with the reason of ingest', async () => {
    const ofSize = (bytes: number): string => makeBody([makeEvent({ props: { a: 'a'.repeat(bytes) } })])
    // Caddy says 502 when ingest breaks a body off before all of it was sent.
    const refusals = kind === 'nginx' ? [413] : [413, 502]
    const before = (await events()).length
    for (const url of addresses()) {
      const refused = await send(url, { body: ofSize(540_000) })
      expect(refusals).toContain(refused.status)
      if (kind === 'nginx') expect(refused.text).toContain('BODY_TOO_LARGE')
      expect(refusals).toContain((await send(url, { body: ofSize(800_000) })).status)
    }
    expect(await events()).toHaveLength(before)
  })

  test('goes on with one ingest once it has noticed that the other is gone', async () => {
    const [gone, left] = ingests as [TestIngest, TestIngest]
    await gone.close()
    ingests = [left]
    let failed = 0
    // They are asked in turn, or at random: so many in a row reach both, if both are still asked.
    for (let inRow = 0; inRow < 12; inRow++) {
      const statuses = await Promise.all(addresses().map(async (url) => (await send(url, { body: makeBody() })).status))
      if (statuses.every((status) => status === 202)) continue
      failed++
      inRow = -1
    }
    // Caddy 2.6 cannot send a body to a second server; nginx can.
    if (kind === 'nginx') expect(failed).toBe(0)
    const before = (await left.events()).length
    for (let sent = 0; sent < 10; sent++)
      for (const url of addresses()) expect((await send(url, { body: makeBody() })).status).toBe(202)
    expect(await left.events()).toHaveLength(before + 20)
  })

  test('writes nothing of a beacon down, also when there is nobody to take it', async () => {
    await ingests[0]!.close()
    ingests = []
    const pixel = await send(`${proxy.own}/v1/pixel.gif?key=pk&url=https://app.example/secret-page`)
    const beacon = await send(`${proxy.app}/footfall/v1/events?secret-page`, { body: 'secret-page' })
    for (const { status } of [pixel, beacon]) expect([502, 503]).toContain(status)
    expect(proxy.written()).not.toMatch(/secret-page|127\.0\.0\.2|Firefox/)
  })
})
