import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { topics, type EventRecord } from '@footfall/contracts/event'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import type { EventLog } from '@footfall/event-log'
import { openRegistry, type Registry } from '@footfall/registry/registry'
import type { Store } from '@footfall/store/open'
import fastify, { type FastifyInstance } from 'fastify'
import { insertRecords, makeRecord, startTestEngine } from '../../../shared/store/test/engine.ts'
import { registerConsole } from '../src/app.ts'
import { createSignInLinks, type SignInLinks } from '../src/sign-in-links.ts'

export const adminToken = 'an-admin-token-of-the-tests'
/** Noon UTC: the same day in every time zone that the tests use. */
export const noon = Date.parse('2026-03-15T12:00:00Z')
const dayMs = 86_400_000

export interface Rig {
  readonly app: FastifyInstance
  readonly store: Store
  readonly log: EventLog
  readonly registry: Registry
  readonly links: SignInLinks
  /** Lets time pass for sessions, links and numbers. */
  pass(ms: number): void
  /** How many events wait before the log; null: nobody here knows. */
  spool(events: number | null): void
  /** A session's cookie, as a browser sends it. */
  signIn(token?: string): Promise<string>
  /** An event as ingest and consumer would have left it: in the log and in the store. */
  arrive(fields: Partial<EventRecord>): Promise<void>
  close(): Promise<void>
}

const catalogue = {
  organisations: [
    { id: 'tampere', name: 'City of Tampere', type: 'city', country: 'FI' },
    { id: 'ghent', name: 'City of Ghent', type: 'city', country: 'BE' },
  ],
  apps: [
    { id: 'street-report', name: 'Report a street fault' },
    { id: 'my-first-app', name: 'My first app' },
  ],
  deployments: [
    {
      id: 'report-tampere',
      app: 'street-report',
      organisation: 'tampere',
      time_zone: 'Europe/Helsinki',
      origins: ['https://report.tampere.example'],
      mode: 'exempt',
    },
    {
      id: 'report-ghent',
      app: 'street-report',
      organisation: 'ghent',
      time_zone: 'Europe/Brussels',
      origins: ['https://report.ghent.example'],
      mode: 'exempt',
      name: '<b>Ghent & co</b>',
    },
    {
      id: 'my-first-app',
      app: 'my-first-app',
      organisation: 'tampere',
      time_zone: 'UTC',
      origins: ['http://localhost'],
      mode: 'exempt',
    },
  ],
}

/** Sixty days of two deployments: views, a journey with and without its end, ratings. */
function makeHistory(): EventRecord[] {
  const records: EventRecord[] = []
  for (let day = 0; day < 60; day++) {
    for (const [deployment, visitors] of [
      ['report-tampere', 4],
      ['report-ghent', 2],
    ] as const) {
      for (let visitor = 1; visitor <= visitors; visitor++) {
        const about = {
          deployment,
          visitor: String(visitor),
          device: visitor % 2 ? 'desktop' : 'mobile',
          browser: 'Firefox',
          country: 'FI',
        }
        const at = noon - day * dayMs - visitor * 60_000
        records.push(makeRecord({ ...about, at, path: '/', referrer: 'search.example' }))
        records.push(makeRecord({ ...about, at: at + 10_000, path: '/report', name: 'page_view' }))
        records.push(makeRecord({ ...about, at: at + 11_000, name: 'journey_start', journey: 'report' }))
        if (visitor % 2)
          records.push(
            makeRecord({ ...about, at: at + 20_000, name: 'journey_complete', journey: 'report', outcome: 'sent' }),
          )
        if (day % 3 === 0)
          records.push(makeRecord({ ...about, at: at + 21_000, name: 'rating', rating: visitor > 2 ? 2 : 5 }))
      }
    }
  }
  return records
}

/** The console over the real engine, log and registry, with a small history. */
export async function startRig(): Promise<Rig> {
  const directory = await mkdtemp(join(tmpdir(), 'footfall-console-'))
  const engine = await startTestEngine()
  const log = await openEmbeddedEventLog({ directory: join(directory, 'log'), minFreeBytes: 0 })
  const registry = await openRegistry({ log, snapshotFile: join(directory, 'registry.json') })
  await registry.apply(catalogue, { actor: 'test' })
  await insertRecords(engine.store, makeHistory())
  const row = (deployment: string, reason: string, refused: number) => [
    deployment,
    Math.floor(noon / 60_000) * 60,
    reason,
    refused,
  ]
  await engine.store.insert(
    'refusals',
    ['deployment', 'minute', 'reason', 'refused'],
    [row('report-ghent', 'origin_not_allowed', 7)],
    null,
  )

  let passed = 0
  let spooled: number | null = 0
  const now = (): number => noon + passed
  const links = createSignInLinks({ now })
  const app = fastify()
  await registerConsole(app, {
    store: engine.store,
    registry,
    log,
    config: { publicUrl: () => 'https://numbers.example', adminToken: () => adminToken, dataDirectory: directory },
    // Three events of Ghent and one of another wait, the oldest accepted in the middle of the day before.
    ledgerExtras: async (deployment) => ({
      in_log: deployment === undefined ? 4 : deployment === 'report-ghent' ? 3 : 0,
      spooled,
      unconsumed_from: noon - dayMs,
    }),
    addressOf: ({ socket }) => socket.remoteAddress ?? '',
    now,
    signInLinks: links,
  })
  // Stands where ingest serves the SDK.
  app.get('/footfall.js', async (_request, reply) => reply.type('text/javascript').send('void 0'))
  await app.ready()

  return {
    app,
    store: engine.store,
    log,
    registry,
    links,
    pass: (ms) => void (passed += ms),
    spool: (events) => void (spooled = events),
    async signIn(token = adminToken) {
      const response = await app.inject({
        method: 'POST',
        url: '/login',
        headers: { origin: 'https://numbers.example', 'content-type': 'application/x-www-form-urlencoded' },
        payload: new URLSearchParams({ token }).toString(),
      })
      const [cookie] = response.cookies
      if (!cookie) throw new Error(`signing in answered ${response.statusCode}`)
      return `${cookie.name}=${cookie.value}`
    },
    async arrive(fields) {
      const record = makeRecord({ at: now(), received_at: now(), ...fields })
      await log.append(topics.events, [{ key: record.id, value: JSON.stringify(record) }])
      await insertRecords(engine.store, [record])
    },
    async close() {
      await app.close()
      await registry.close()
      await log.close()
      await engine.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
