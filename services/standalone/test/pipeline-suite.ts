import { once } from 'node:events'
import { connect } from 'node:net'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

export const token = 'pipeline-test-token-0000'
export const origin = 'https://app.example'

/** A running Footfall, however it is put together. */
export interface PipelineWorld {
  /** Where beacons go. */
  readonly ingests: readonly string[]
  readonly console: string
  /** Directory of the test; what Footfall keeps lies below `data` in it. */
  readonly root: string
  /** kill -9 of the store's engine. */
  killStore(): Promise<void> | void
  /** Whether a text is in a record of the log. */
  logHolds(text: string): Promise<boolean>
  close(): Promise<void>
}

export interface Ledger {
  accepted: number
  read: number
  stored: number
  failed: number
  deduplicated: number
  erased: number
  difference: number
  in_log: number
}

/** What a suite asks of a world; for cases of its own. */
export interface PipelineAsker {
  readonly run: <Result>(kind: string, payload: unknown) => Promise<Result>
  readonly ledger: () => Promise<Ledger>
  readonly settled: () => Promise<void>
  readonly send: (events: readonly object[]) => Promise<Response>
  readonly event: (more?: object) => object
}

/** From a beacon to a number, and what else holds whichever engines are behind the ports. */
export function pipelineSuite(
  name: string,
  open: () => Promise<PipelineWorld>,
  own: (asker: PipelineAsker, world: () => PipelineWorld) => void = () => undefined,
): void {
  describe(name, () => {
    let world: PipelineWorld
    const api = async <Answer>(path: string, body?: unknown): Promise<Answer> => {
      const response = await fetch(world.console + path, {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const answer = (await response.json()) as Answer
      expect(response.ok, JSON.stringify(answer)).toBe(true)
      return answer
    }
    interface Job {
      id: string
      state: string
      result: unknown
      error: string | null
    }
    /** Waits for work to be done and for the log to be consumed. */
    const run = async <Result>(kind: string, payload: unknown): Promise<Result> => {
      let job = await api<Job>('/api/v1/jobs', { kind, payload })
      while (job.state === 'waiting' || job.state === 'running') job = await api<Job>(`/api/v1/jobs/${job.id}`)
      expect(job.error).toBeNull()
      await settled()
      return job.result as Result
    }
    const ledger = () => api<Ledger>('/api/v1/ledger')
    const settled = async (): Promise<void> => {
      while ((await ledger()).in_log > 0);
    }
    const valueOf = async (metric: string, query: string): Promise<number | null> =>
      (await api<{ rows: { value: number | null }[] }>(`/api/v1/metrics/${metric}?${query}`)).rows.reduce(
        (sum, { value }) => sum + (value ?? 0),
        0,
      )
    let made = 0
    let asked = 0
    /** Events go to one ingest after the other. */
    const nextIngest = (): string => world.ingests[asked++ % world.ingests.length]!
    const send = (events: readonly object[], headers: Record<string, string> = {}) =>
      fetch(`${nextIngest()}/v1/events`, {
        method: 'POST',
        headers: {
          'content-type': 'text/plain',
          origin,
          'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
          ...headers,
        },
        body: JSON.stringify({ key: 'pk_pipeline_test', sent_at: Date.now(), events }),
      })
    const event = (more: object = {}): object => ({
      id: `0190aaaa-bbbb-7ccc-8ddd-${(++made).toString(16).padStart(12, '0')}`,
      name: 'page_view',
      at: Date.now(),
      url: `${origin}/`,
      ...more,
    })

    beforeAll(async () => {
      world = await open()
      await api('/api/v1/registry/apply', {
        catalogue: {
          organisations: [{ id: 'city', name: 'City', type: 'city', country: 'FI' }],
          apps: [{ id: 'app', name: 'App' }],
          deployments: ['app', 'logs'].map((id) => ({
            id,
            app: 'app',
            organisation: 'city',
            url: origin,
            time_zone: 'UTC',
            origins: [origin],
            mode: 'exempt',
            keys: [id === 'app' ? 'pk_pipeline_test' : 'pk_pipeline_logs'],
          })),
        },
      })
      // Every ingest has heard of it.
      for (const ingest of world.ingests) while ((await fetch(`${ingest}/privacy/app`)).status !== 200);
    }, 240_000)
    afterAll(() => world.close(), 60_000)

    const today = (): string => new Date().toISOString().slice(0, 10)

    describe('from a beacon to a number', () => {
      test('a page view is on the board, once, however often it is sent', async () => {
        const one = event()
        for (let time = 0; time < 3; time++) expect((await send([one])).status).toBe(202)
        await settled()
        expect(await valueOf('page_views', `deployment=app&from=${today()}&to=${today()}`)).toBe(1)
        expect(await ledger()).toMatchObject({ stored: 1, deduplicated: 2, difference: 0 })
      })

      test('events that came while the engine was dead are there when it is back', async () => {
        await world.killStore()
        expect((await send([event(), event()])).status).toBe(202)
        expect((await fetch(`${nextIngest()}/readyz`)).status).toBe(200)
        const before = Date.now()
        while (
          (await fetch(`${world.console}/api/v1/ledger`, { headers: { authorization: `Bearer ${token}` } })).status !==
          200
        )
          if (Date.now() - before > 30_000) throw new Error('the store did not come back')
        await settled()
        expect(await valueOf('page_views', `deployment=app&from=${today()}&to=${today()}`)).toBe(3)
      })

      test('numbers need a token, and a read token changes nothing', async () => {
        expect((await fetch(`${world.console}/api/v1/metrics/page_views`)).status).toBe(401)
        const { token: readToken } = await api<{ token: string }>('/api/v1/tokens', { scope: 'read' })
        const headers = { authorization: `Bearer ${readToken}` }
        expect((await fetch(`${world.console}/api/v1/metrics/page_views`, { headers })).status).toBe(200)
        const denied = await fetch(`${world.console}/api/v1/jobs`, {
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/json' },
          body: '{"kind":"fold"}',
        })
        expect(denied.status).toBe(403)
      })
    })

    describe('an access log', () => {
      const line = (
        second: number,
        path: string,
        agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0',
        status = 200,
      ): string =>
        `203.0.113.77 - - [10/Mar/2026:10:00:${String(second).padStart(2, '0')} +0000] "GET ${path} HTTP/1.1" ${status} 512 "https://www.search.example/?q=secret" "${agent}"`
      const lines = [
        line(1, '/'),
        line(2, '/a?token=secret'),
        line(2, '/a?token=secret'),
        line(3, '/style.css'),
        line(4, '/gone', undefined, 404),
        line(5, '/bot', 'Googlebot/2.1 (+http://www.google.com/bot.html)'),
        'not a line',
      ]
      const views = () => valueOf('page_views', 'deployment=logs&from=2026-03-10&to=2026-03-10')

      test('counts pages, two equal lines as two, and every line once however often it comes', async () => {
        const file = join(world.root, 'access.log')
        await writeFile(file, `${lines.join('\n')}\n`)
        const payload = { deployment: 'logs', path: file }
        expect(await run('import', payload)).toEqual({
          lines: 7,
          events: 4,
          bots: 1,
          other: 2,
          unreadable: 1,
          first_day: '2026-03-10',
          last_day: '2026-03-10',
          stored: 4,
          days_imported_before: [],
          days_with_beacons: [],
          held_back: false,
        })
        expect(await views()).toBe(3)
        expect(await run('import', payload)).toMatchObject({ stored: 0, days_imported_before: [] })
        expect(await views()).toBe(3)
        // Grown and packed since: only what is new counts.
        await writeFile(file, gzipSync(`${[...lines, line(6, '/new')].join('\n')}\n`))
        expect(await run('import', payload)).toMatchObject({ stored: 1, days_imported_before: ['2026-03-10'] })
        expect(await views()).toBe(4)
        expect(await valueOf('daily_visitors', 'deployment=logs&from=2026-03-10&to=2026-03-10')).toBeLessThanOrEqual(2)
        expect(await ledger()).toMatchObject({ difference: 0 })
      })

      test('is the same by standard input', async () => {
        const { id } = await api<{ id: string }>('/api/v1/imports', { deployment: 'logs' })
        await api(`/api/v1/imports/${id}/lines`, { lines: [...lines, line(6, '/new'), line(7, '/newer')] })
        expect(await api(`/api/v1/imports/${id}`)).toMatchObject({ stored: 1, days_imported_before: ['2026-03-10'] })
        expect(await views()).toBe(5)
      })

      test('holds back a last line that is half written, so it counts once when it is whole', async () => {
        const file = join(world.root, 'growing.log')
        const payload = { deployment: 'logs', path: file }
        const half = line(8, '/half')
        for (const [text, result] of [
          [half.slice(0, -5), { events: 0, stored: 0, held_back: true }],
          [`${half}\n`, { events: 1, stored: 1, held_back: false }],
        ] as const) {
          await writeFile(file, text)
          expect(await run('import', payload)).toMatchObject(result)
        }
        expect(await views()).toBe(6)
      })

      test('warns of days that beacons have counted too', async () => {
        const month = new Date().toLocaleString('en-US', { month: 'short', timeZone: 'UTC' })
        const date = `${today().slice(8)}/${month}/${today().slice(0, 4)}`
        const file = join(world.root, 'today.log')
        await writeFile(file, `${line(1, '/').replace('10/Mar/2026:10:00', `${date}:00:00`)}\n`)
        await send([event()])
        await settled()
        expect(await run('import', { deployment: 'app', path: file })).toMatchObject({ days_with_beacons: [today()] })
      })

      test('whose gzip is cut fails at once and says how far it came; the whole file then counts the rest', async () => {
        const file = join(world.root, 'cut.log.gz')
        const packed = gzipSync(Array.from({ length: 3_000 }, (_, index) => `${line(9, `/cut/${index}`)}\n`).join(''))
        await writeFile(file, packed.subarray(0, packed.length - 20))
        let job = await api<Job & { attempt: number }>('/api/v1/jobs', {
          kind: 'import',
          payload: { deployment: 'logs', path: file },
        })
        while (job.state === 'waiting' || job.state === 'running') job = await api(`/api/v1/jobs/${job.id}`)
        expect(job).toMatchObject({ state: 'failed', attempt: 1 })
        const sent = Number(/breaks off after line (\d+): /.exec(job.error!)![1])
        expect(sent).toBeGreaterThan(0)
        await writeFile(file, packed)
        const { events, stored } = await run<{ events: number; stored: number }>('import', {
          deployment: 'logs',
          path: file,
        })
        expect([events, stored]).toEqual([3_000, 3_000 - sent])
      })

      test('is refused for a deployment that is not there, and for a file that is not', async () => {
        for (const payload of [
          { deployment: 'none', path: join(world.root, 'access.log') },
          { deployment: 'logs', path: join(world.root, 'none.log') },
        ]) {
          let job = await api<Job>('/api/v1/jobs', { kind: 'import', payload })
          while (job.state === 'waiting' || job.state === 'running') job = await api<Job>(`/api/v1/jobs/${job.id}`)
          expect([job.state, job.error]).toEqual(['failed', expect.any(String)])
        }
      })
    })

    test.each([
      ['GET', '/v1/nothing', 404, 'NOT_FOUND'],
      ['POST', '/v1/nothing', 404, 'NOT_FOUND'],
      ['QUERY', '/v1/events', 405, 'METHOD_NOT_ALLOWED'],
      ['QUERY', '/nothing', 400, 'INVALID_REQUEST'],
      ['POST', '/v1/pixel.gif', 405, 'METHOD_NOT_ALLOWED'],
      ['GET', '/privacy/%ff', 400, 'INVALID_REQUEST'],
      ['GET', '/v1/%ff', 400, 'INVALID_REQUEST'],
      ['POST', '/api/v1/jobs', 401, 'UNAUTHORIZED'],
    ])('%s %s is refused in our form with %i %s', async (method, path, status, code) => {
      const response = await fetch((/^\/(v1|privacy)/.test(path) ? nextIngest() : world.console) + path, {
        method,
        ...(method === 'POST' ? { headers: { 'content-type': 'application/json' }, body: '{}' } : {}),
      })
      const answer = (await response.json()) as { error: unknown }
      expect([response.status, answer.error]).toEqual([status, expect.objectContaining({ code })])
    })

    test('behind a proxy, wrong tokens are counted against who sent them', async () => {
      const status = async (address: string, used: string): Promise<number> =>
        (
          await fetch(`${world.console}/api/v1/jobs/x`, {
            headers: { authorization: `Bearer ${used}`, 'x-forwarded-for': address },
          })
        ).status
      for (let tries = 0; tries < 10; tries++) expect(await status('198.51.100.1', 'wrong')).toBe(401)
      expect(await status('198.51.100.1', 'wrong')).toBe(429)
      expect(await status('198.51.100.2', 'wrong')).toBe(401)
      expect(await status('198.51.100.1', token)).toBe(404)
    })

    test.each(['/api/v1/imports/x/lines', '/api/v1/registry/apply'])('%s reads no body of a stranger', async (path) => {
      // The body never comes: an answer means that nobody waited for it.
      const { port, hostname } = new URL(world.console)
      const socket = connect(Number(port), hostname)
      socket.write(
        `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5000000\r\n\r\n`,
      )
      const [answer] = (await once(socket, 'data')) as [Buffer]
      socket.destroy()
      expect(answer.toString()).toMatch(/^HTTP\/1\.1 401 /)
    })

    test('a job too large is told so', async () => {
      const response = await fetch(`${world.console}/api/v1/jobs`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: ' '.repeat(1024 * 1024 + 1),
      })
      expect([response.status, await response.json()]).toMatchObject([413, { error: { code: 'BODY_TOO_LARGE' } }])
    })

    test('no file below the data directory holds an address, an agent, a query string or what was refused', async () => {
      const canaries = [
        '127.0.0.1 canary',
        '203.0.113.77',
        'CanaryAgent',
        'canary-query',
        'secret',
        'search.example/?q',
        'anna@canary.example',
        'field-canary',
        'prop-canary',
        'journey-canary',
        'journey_canary',
        'key-canary',
        'gpc-canary',
      ]
      await send(
        [
          event({
            url: `${origin}/page?canary-query=1#canary-query`,
            referrer: 'https://x.example/?canary-query',
            props: { who: 'anna@canary.example' },
          }),
        ],
        { 'user-agent': 'Mozilla/5.0 CanaryAgent/1.0', 'x-forwarded-for': '203.0.113.77' },
      )
      await send([event({ id: 'canary-query', url: '203.0.113.77' })], { 'user-agent': 'CanaryAgent' })
      await fetch(
        `${nextIngest()}/v1/pixel.gif?key=pk_pipeline_test&url=${encodeURIComponent(`${origin}/?canary-query`)}`,
        { headers: { referer: `${origin}/?canary-query`, 'user-agent': 'CanaryAgent' } },
      )
      // Whatever a sender chooses may be a person: names of fields, props, journeys; and under an objection nothing is kept.
      const faulty = [
        { 'field-canary@example.org': 1 },
        { props: { 'prop-canary@example.org': {} } },
        { props: { ['prop-canary'.repeat(10)]: 1 } },
        { journey: { name: 'pay', 'journey-canary@example.org': 1 } },
        { name: 'journey_canary' },
      ].map(event)
      const body = JSON.stringify({ 'key-canary@example.org': 1, 'key-canary': 2, key: 'pk_pipeline_test', events: [] })
      await fetch(`${nextIngest()}/v1/events`, { method: 'POST', headers: { origin }, body })
      const refused = () => valueOf('refused_events', `deployment=app&from=${today()}&to=${today()}`)
      const before = await refused()
      await send(faulty)
      await send([...faulty, event({ props: { who: 'gpc-canary' } })], { 'sec-gpc': '1' })
      await settled()
      while (((await refused()) ?? 0) < (before ?? 0) + 2 * faulty.length + 1);
      const data = join(world.root, 'data')
      const files = (await readdir(data, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
      expect(files.length).toBeGreaterThan(20)
      for (const file of files) {
        const bytes = await readFile(file).catch(() => Buffer.alloc(0))
        for (const canary of canaries) expect(bytes.includes(canary), `${canary} in ${file}`).toBe(false)
      }
      const secrets = files.filter((file) => /(salts|import-secrets)\.json$/.test(file))
      expect(secrets.length).toBeGreaterThanOrEqual(2)
      for (const secret of secrets) expect((await stat(secret)).mode & 0o077).toBe(0)
    })

    test('erasure takes a period out of store, log and sums, and the ledger still adds up', async () => {
      const before = await ledger()
      const result = await run<{ events: number }>('erase', {
        deployment: 'logs',
        from: '2026-03-10',
        to: '2026-03-10',
      })
      expect(result.events).toBeGreaterThan(0)
      expect(await valueOf('page_views', 'deployment=logs&from=2026-03-10&to=2026-03-10')).toBe(0)
      const after = await ledger()
      expect(after).toMatchObject({
        read: before.read,
        erased: result.events,
        stored: before.stored - result.events,
        difference: 0,
      })
      expect(await world.logHolds('"deployment":"logs"')).toBe(false)
    })

    test('a late event is set aside, and counted after all when it is replayed', async () => {
      const at = Date.now() - 9 * 86_400_000
      await send([event({ at })])
      await settled()
      const day = new Date(at).toISOString().slice(0, 10)
      const views = () => valueOf('page_views', `deployment=app&from=${day}&to=${day}`)
      expect([await views(), (await ledger()).failed]).toEqual([0, 1])
      expect(await run('replay', { reason: 'late' })).toEqual({ replayed: 1, refused: 0, unreadable: 0 })
      expect(await run('replay', {})).toEqual({ replayed: 0, refused: 0, unreadable: 0 })
      expect(await views()).toBe(1)
      expect(await ledger()).toMatchObject({ failed: 0, difference: 0 })
    })

    own({ run, ledger, settled, send, event }, () => world)
  })
}
