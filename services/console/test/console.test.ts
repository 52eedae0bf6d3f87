import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adminToken, startRig, type Rig } from './rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(async () => rig.close())

const bearer = (token = adminToken) => ({ authorization: `Bearer ${token}` })
const own = { origin: 'https://numbers.example', 'content-type': 'application/x-www-form-urlencoded' }
const form = (fields: Record<string, string>): string => new URLSearchParams(fields).toString()
const page = async (url: string) =>
  rig.app.inject({ url, headers: { cookie: await rig.signIn(), accept: 'text/html' } })

describe('API', () => {
  const get = (url: string, headers: Record<string, string> = bearer()) => rig.app.inject({ url, headers })

  test('a number has rows, coverage and the moment it reaches to', async () => {
    const response = await get(
      '/api/v1/metrics/page_views?deployment=report-tampere&from=2026-03-01&to=2026-03-10&interval=day',
    )
    expect(response.json()).toMatchObject({ metric: 'page_views', unit: 'count', complete: true })
    expect(response.json<{ rows: { value: number }[] }>().rows.map(({ value }) => value)).toEqual(Array(10).fill(8))
  })

  test.each([
    ['/api/v1/metrics/page_views?form=csv', 400, 'INVALID_REQUEST', 'form'],
    ['/api/v1/metrics/page_views?interval=hour', 400, 'INVALID_REQUEST', 'interval'],
    ['/api/v1/metrics/page_views?from=2026-02-31', 400, 'INVALID_REQUEST', 'from'],
    ['/api/v1/metrics/page_views?from=2026-03-02&to=2026-03-01', 400, 'INVALID_REQUEST', 'from'],
    ['/api/v1/metrics/page_views?deployment=nowhere', 404, 'NOT_FOUND', 'nowhere'],
    ['/api/v1/metrics/page_views?deployment=', 404, 'NOT_FOUND', 'no deployment ""'],
    ['/api/v1/metrics/page_views?organisation=nope', 404, 'NOT_FOUND', 'organisation "nope"'],
    ['/api/v1/metrics/page_views?app=nope', 404, 'NOT_FOUND', 'app "nope"'],
    ['/api/v1/metrics/page_views?dimension=x', 400, 'INVALID_REQUEST', 'dimension: page_views'],
    ['/api/v1/metrics/nothing', 404, 'NOT_FOUND', 'nothing'],
    ['/api/v1/ledger?deployment=nowhere', 404, 'NOT_FOUND', 'nowhere'],
    ['/api/v1/nothing', 404, 'NOT_FOUND', 'nothing'],
  ])('%s answers %i %s and says what', async (url, status, code, word) => {
    const response = await get(url)
    expect(response.statusCode).toBe(status)
    const { error } = response.json<{ error: { code: string; message: string; hint: string } }>()
    expect(error).toMatchObject({ code, hint: expect.any(String) as string })
    expect(error.message).toContain(url.includes('/api/v1/nothing') ? '' : word)
  })

  test('nobody is told anything without a token, and a reading token changes nothing', async () => {
    expect((await get('/api/v1/metrics', {})).statusCode).toBe(401)
    expect((await get('/api/v1/metrics', bearer('wrong'))).statusCode).toBe(401)
    const { secret, id } = await rig.registry.createToken({ scope: 'read', ttlMs: 60_000_000_000, actor: 'test' })
    expect((await get('/api/v1/metrics', bearer(secret))).statusCode).toBe(200)
    const post = await rig.app.inject({
      method: 'POST',
      url: '/api/v1/keys',
      headers: bearer(secret),
      payload: { deployment: 'report-ghent' },
    })
    expect(post.json()).toMatchObject({ error: { code: 'FORBIDDEN' } })
    await rig.registry.revoke({ token: id }, 'test')
    expect((await get('/api/v1/metrics', bearer(secret))).statusCode).toBe(401)
  })

  test('a session may read numbers but never change anything through the API', async () => {
    const cookie = await rig.signIn()
    expect((await get('/api/v1/metrics/page_views', { cookie })).statusCode).toBe(200)
    const post = await rig.app.inject({
      method: 'POST',
      url: '/api/v1/retire',
      headers: { cookie },
      payload: { entity: 'app', id: 'street-report' },
    })
    expect(post.statusCode).toBe(401)
  })

  test('CSV has one header row and the rows of the JSON', async () => {
    const response = await get('/api/v1/metrics/top_pages?deployment=report-ghent&format=csv')
    expect(response.headers['content-type']).toContain('text/csv')
    expect(response.body.split('\r\n')).toEqual([
      'deployment,period,dimension,value,n,low,high,reason',
      'report-ghent,total,/,60,,,,',
      'report-ghent,total,/report,60,,,,',
      '',
    ])
  })

  test('CSV says in its headers what the JSON says beside its rows', async () => {
    const range = 'deployment=report-ghent&from=2026-03-01&to=2026-03-15'
    const { headers } = await get(`/api/v1/metrics/page_views?${range}&format=csv`)
    expect(headers).toMatchObject({
      'x-footfall-version': '1',
      'x-footfall-unit': 'count',
      'x-footfall-data-to': '',
      'x-footfall-complete': 'false',
      'x-footfall-coverage-visitors': '1',
      'x-footfall-coverage-refused': '7',
      'x-footfall-coverage-days': '15',
    })
    const described = (await get('/api/v1/openapi.json', {})).json<{
      paths: Record<string, { get: { responses: { 200: { headers: object } } } }>
    }>().paths['/api/v1/metrics/{id}']!.get.responses[200].headers
    expect(Object.keys(headers).filter((name) => name.startsWith('x-footfall-'))).toEqual(Object.keys(described))
  })

  test('the ledger of one deployment counts what waits of it', async () => {
    expect((await get('/api/v1/ledger?deployment=report-ghent')).json()).toMatchObject({
      accepted: 3,
      in_log: 3,
      in_log_scope: 'deployment',
      spooled: 0,
    })
    expect((await get('/api/v1/ledger')).json()).toMatchObject({ accepted: 4, in_log: 4, in_log_scope: 'all' })
  })

  test('the ledger gives no number for spools that nobody here knows', async () => {
    rig.spool(null)
    try {
      expect((await get('/api/v1/ledger')).json()).toMatchObject({ accepted: 4, spooled: null })
      const cookie = await rig.signIn()
      const page = await rig.app.inject({ url: '/boards/data-quality', headers: { cookie } })
      expect(page.body).toContain('not known here: each ingest counts its own')
    } finally {
      rig.spool(0)
    }
  })

  test('a number is not complete while events that were accepted before its end wait', async () => {
    const of = async (to: string) =>
      (await get(`/api/v1/metrics/page_views?from=2026-03-01&to=${to}`)).json<{ complete: boolean }>().complete
    expect([await of('2026-03-13'), await of('2026-03-14')]).toEqual([true, false])
  })

  test('a broken body is told as such', async () => {
    const post = await rig.app.inject({
      method: 'POST',
      url: '/api/v1/registry/apply',
      headers: { ...bearer(), 'content-type': 'application/json' },
      payload: '{"catalogue":',
    })
    expect(post.json()).toMatchObject({ error: { code: 'MALFORMED_JSON' } })
  })

  test('the description covers every route of the API', async () => {
    const { paths } = (await get('/api/v1/openapi.json', {})).json<{ paths: Record<string, Record<string, unknown>> }>()
    for (const [path, methods] of Object.entries(paths)) {
      for (const method of Object.keys(methods)) {
        expect(
          rig.app.hasRoute({ method: method.toUpperCase(), url: path.replace('{id}', ':id') }),
          `${method} ${path}`,
        ).toBe(true)
      }
    }
    for (const path of ['/api/v1/metrics/{id}', '/api/v1/ledger', '/api/v1/registry/apply', '/api/v1/tokens'])
      expect(paths).toHaveProperty([path])
  })
})

describe('signing in', () => {
  test('a link signs in once, and being looked at in advance does not use it up', async () => {
    const url = `/sign-in/${rig.links.issue()}`
    expect((await rig.app.inject({ method: 'HEAD', url })).cookies).toEqual([])
    expect((await rig.app.inject({ url, headers: { 'sec-purpose': 'prefetch' } })).cookies).toEqual([])
    const opened = await rig.app.inject({ url })
    expect(opened.headers.location).toBe('/start')
    expect(opened.cookies[0]).toMatchObject({ httpOnly: true, sameSite: 'Lax', secure: true })
    const again = await rig.app.inject({ url })
    expect(again.statusCode).toBe(410)
    expect(again.cookies).toEqual([])
  })

  test('a wrong token is told, too many make the address wait, and a right one is let in at once', async () => {
    const login = (remoteAddress: string, token: string) =>
      rig.app.inject({ method: 'POST', url: '/login', remoteAddress, headers: own, payload: form({ token }) })
    for (let tries = 0; tries < 10; tries++) expect((await login('192.0.2.1', 'wrong')).statusCode).toBe(401)
    expect((await login('192.0.2.1', 'wrong')).statusCode).toBe(429)
    const tried = await rig.app.inject({ url: '/api/v1/ledger', remoteAddress: '192.0.2.1', headers: bearer('wrong') })
    expect([tried.statusCode, tried.json<{ error: { code: string } }>().error.code]).toEqual([429, 'TOO_MANY_TRIES'])
    expect(Number(tried.headers['retry-after'])).toBeGreaterThan(0)
    expect((await login('192.0.2.2', 'wrong')).statusCode).toBe(401)
    expect((await login('192.0.2.1', adminToken)).statusCode).toBe(303)
    rig.pass(60_000)
    expect((await login('192.0.2.1', 'wrong')).statusCode).toBe(401)
  })

  test('no page is shown without a session', async () => {
    for (const url of [
      '/',
      '/deployments/report-ghent',
      '/live',
      '/registry',
      '/definitions',
      '/start',
      '/deployments/new',
      '/boards/data-quality',
    ]) {
      const response = await rig.app.inject({ url })
      expect([response.statusCode, response.headers.location]).toEqual([303, `/login?next=${encodeURIComponent(url)}`])
    }
    expect((await rig.app.inject({ url: '/live/stream' })).statusCode).toBe(401)
  })

  test('signing out ends the session', async () => {
    const cookie = await rig.signIn()
    const body = (await rig.app.inject({ url: '/definitions', headers: { cookie } })).body
    const formToken = /name="form_token" value="([^"]+)"/.exec(body)![1]!
    const response = await rig.app.inject({
      method: 'POST',
      url: '/logout',
      headers: { ...own, cookie },
      payload: form({ form_token: formToken }),
    })
    expect(response.headers.location).toBe('/login')
    expect((await rig.app.inject({ url: '/definitions', headers: { cookie } })).statusCode).toBe(303)
  })
})

describe('pages', () => {
  test('none needs inline script or style, and all forbid it', async () => {
    for (const url of [
      '/',
      '/deployments/report-tampere',
      '/live',
      '/start',
      '/registry',
      '/definitions',
      '/deployments/new',
      '/boards/data-quality',
      '/boards/pipeline-health',
    ]) {
      const response = await page(url)
      expect(response.statusCode, url).toBe(200)
      expect(response.headers['content-security-policy']).toContain(
        "default-src 'none'; script-src 'self'; style-src 'self'",
      )
      expect(response.body, url).not.toMatch(/ style=|<style|<script(?![^>]* src=)| on[a-z]+="/)
    }
  })

  test('names from the catalogue are text, not markup', async () => {
    const { body } = await page('/')
    expect(body).toContain('&lt;b&gt;Ghent &amp; co&lt;/b&gt;')
    expect(body).not.toContain('<b>Ghent')
  })

  test('a board shows the numbers of the API, the change, n, the interval, and what is missing', async () => {
    const { body } = await page('/deployments/report-tampere')
    const words = body.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ')
    expect(words).toContain('240 → the same as before')
    expect(words).toContain('50.0% → the same as before of 120 started 95% range 41.2% to 58.8%')
    expect(words).toContain('mean of 30 days')
    expect(words).toContain('Not complete: the last day is still running')
    expect(words).not.toContain('The last events are from')
  })

  test('a deployment without events has reasons, not zeros for rates', async () => {
    const { body } = await page('/deployments/my-first-app')
    expect(body).toContain('nothing had been measured here yet')
    expect(body).not.toContain('The last events are from')
  })

  test('an empty period says where the last events are, as after the import of an old log', async () => {
    const { body } = await page('/deployments/report-tampere?from=2025-01-01&to=2025-01-31')
    expect(body).toContain('The last events are from 15 Mar 2026')
    expect(body).toContain('href="/deployments/report-tampere?from=2026-02-14&amp;to=2026-03-15"')
  })

  test('refusals make a board say that it is undercounted', async () => {
    const { body } = await page('/deployments/report-ghent')
    expect(body).toContain('Undercounted by at least 7')
    expect(body).toContain('not among the deployment’s origins')
  })

  test('a mistyped day is told, and the board still shown', async () => {
    const response = await page('/?from=2026-13-01&to=2026-03-01')
    expect(response.statusCode).toBe(200)
    expect(response.body).toContain('must be days such as 2026-01-31')
  })

  test('what is not there is a page for people', async () => {
    for (const url of ['/deployments/nowhere', '/nothing']) {
      const response = await page(url)
      expect(response.statusCode).toBe(404)
      expect(response.body).toContain('There is nothing here')
    }
  })
})

describe('adding a deployment', () => {
  const fields = {
    app: '',
    app_name: 'Sää & Katu',
    organisation: 'tampere',
    organisation_name: '',
    country: '',
    origins: 'https://saa.example\nhttps://www.saa.example',
    time_zone: 'Europe/Helsinki',
    mode: 'exempt',
  }
  const send = async (changes: Record<string, string> = {}, headers: Record<string, string> = own) => {
    const cookie = await rig.signIn()
    const body = (await rig.app.inject({ url: '/deployments/new', headers: { cookie } })).body
    const formToken = /name="form_token" value="([^"]+)"/.exec(body)![1]!
    return rig.app.inject({
      method: 'POST',
      url: '/deployments/new',
      headers: { ...headers, cookie },
      payload: form({ form_token: formToken, ...fields, ...changes }),
    })
  }

  test('ends at the snippet with a key that ingest knows', async () => {
    const response = await send()
    expect(response.statusCode).toBe(303)
    expect(response.headers.location).toBe('/deployments/saa-katu-tampere/snippet')
    const { body } = await page(response.headers.location!)
    const key = /data-key=&quot;(pk_[A-Za-z0-9]+)&quot;/.exec(body)![1]!
    expect(rig.registry.lookupKey(key)?.deployment).toMatchObject({
      id: 'saa-katu-tampere',
      origins: ['https://saa.example', 'https://www.saa.example'],
    })
  })

  test.each([
    ['exempt', ''],
    ['consent', ' data-mode=&quot;consent&quot;'],
    ['off', ' data-mode=&quot;off&quot;'],
  ])('the snippet of mode %s counts no sooner than the privacy page says', async (mode, attribute) => {
    const { headers } = await send({ app_name: `In mode ${mode}`, mode })
    const { body } = await page(headers.location!)
    expect(body).toMatch(new RegExp(`data-key=&quot;pk_[A-Za-z0-9]+&quot;${attribute}&gt;`))
    expect(body.includes('footfall.consent(true)')).toBe(mode === 'consent')
  })

  test('the start page shows the mode of its deployment, and is itself measured in it', async () => {
    const { origins, time_zone, organisation, app, id } = rig.registry
      .deployments()
      .find(({ deployment }) => deployment.id === 'my-first-app')!.deployment
    const change = (mode: string) =>
      rig.registry.apply({ deployments: [{ id, app, organisation, time_zone, origins, mode }] }, { actor: 'test' })
    await change('consent')
    const { body } = await page('/start')
    await change('exempt')
    expect(body).toContain(' data-mode=&quot;consent&quot;&gt;')
    expect(body).toMatch(/<script defer src="\/footfall.js" data-key="[^"]+" data-mode="consent"><\/script>/)
  })

  test('mistakes stand beside their fields, and nothing is changed', async () => {
    const before = rig.registry.revision()
    const response = await send({
      app_name: '',
      origins: 'saa.example',
      time_zone: 'Mars/Olympus',
      organisation: '',
      organisation_name: 'Utrecht',
      country: 'N',
    })
    expect(response.statusCode).toBe(422)
    for (const field of ['app_name', 'country', 'origins', 'time_zone']) {
      expect(response.body).toContain(`id="${field}-mistake"`)
      expect(response.body).toMatch(new RegExp(`id="${field}"[^>]*aria-invalid="true"`))
    }
    expect(response.body).toContain('value="Utrecht"')
    expect(rig.registry.revision()).toBe(before)
  })

  test('a form of another site, or without its token, is refused', async () => {
    const before = rig.registry.revision()
    expect((await send({}, { ...own, origin: 'https://evil.example' })).statusCode).toBe(403)
    expect((await send({ form_token: 'wrong' })).statusCode).toBe(403)
    expect(rig.registry.revision()).toBe(before)
  })

  test('needs the operator', async () => {
    const { secret } = await rig.registry.createToken({ scope: 'read', ttlMs: 60_000_000_000, actor: 'test' })
    const response = await rig.app.inject({ url: '/deployments/new', headers: { cookie: await rig.signIn(secret) } })
    expect(response.statusCode).toBe(403)
  })
})
