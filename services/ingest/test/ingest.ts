import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { topics, type EventRecord, type RefusalRecord } from '@footfall/contracts/event'
import type { EventLog } from '@footfall/event-log'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { openRegistry, type Registry } from '@footfall/registry/registry'
import { createLogger } from '@footfall/telemetry/logger'
import { createMetrics } from '@footfall/telemetry/metrics'
import fastify from 'fastify'
import { httpOptions } from '@footfall/http/http-options'
import { createIngest, type Ingest, type IngestOptions } from '../src/app.ts'

export const origin = 'https://app.example'
export const key = 'pk_test_app_key'

export interface TestIngest {
  readonly url: string
  readonly port: number
  readonly registry: Registry
  readonly ingest: Ingest
  readonly directory: string
  /** Posts a body as it is. */
  post(
    body: string | Buffer,
    headers?: Record<string, string>,
  ): Promise<{
    status: number
    answer: {
      accepted?: number
      receipts?: { index: number; code: string; result: string; message: string }[]
      error?: { code: string; message: string; hint: string }
    }
    headers: Headers
  }>
  /** Every event that was appended so far. */
  events(): Promise<EventRecord[]>
  refusals(): Promise<RefusalRecord[]>
  close(): Promise<void>
}

let made = 0
/** A valid event; what a test names differs. */
export const makeEvent = (fields: Record<string, unknown> = {}): Record<string, unknown> => ({
  id: `0190aaaa-bbbb-7ccc-8ddd-${(++made).toString(16).padStart(12, '0')}`,
  name: 'page_view',
  at: Date.now(),
  url: `${origin}/page`,
  ...fields,
})
export const makeBody = (events: readonly unknown[] = [makeEvent()], fields: Record<string, unknown> = {}): string =>
  JSON.stringify({ key, sent_at: Date.now(), events, ...fields })

/** The real routes over a real log and registry, listening on loopback. */
export async function startIngest(
  config: Partial<IngestOptions['config']> = {},
  now?: () => number,
  wrap: (log: EventLog) => EventLog = (log) => log,
): Promise<TestIngest> {
  const directory = await mkdtemp(join(tmpdir(), 'footfall-ingest-'))
  const log = await openEmbeddedEventLog({ directory: join(directory, 'log'), minFreeBytes: 0 })
  const registry = await openRegistry({ log, snapshotFile: join(directory, 'registry.json'), ...(now ? { now } : {}) })
  await registry.apply(
    {
      organisations: [{ id: 'o', name: 'O', type: 'city', country: 'FI' }],
      apps: [{ id: 'a', name: 'A' }],
      deployments: [
        {
          id: 'app',
          app: 'a',
          organisation: 'o',
          name: 'The app',
          url: origin,
          time_zone: 'Europe/Helsinki',
          origins: [origin],
          test_origins: ['https://test.example'],
          mode: 'exempt',
          contact: 'data@o.example',
          keys: [key],
        },
        {
          id: 'off',
          app: 'a',
          organisation: 'o',
          time_zone: 'UTC',
          origins: [origin],
          mode: 'off',
          keys: ['pk_test_off_key'],
        },
        {
          id: 'strict',
          app: 'a',
          organisation: 'o',
          time_zone: 'UTC',
          origins: [origin],
          mode: 'exempt',
          events: ['known'],
          keys: ['pk_test_strict_key'],
        },
      ],
    },
    { actor: 'test' },
  )
  const ingest = createIngest({
    log: wrap(log),
    registry,
    metrics: createMetrics(),
    logger: createLogger('silent'),
    sdk: { script: Buffer.from('void 0'), immutablePath: '/footfall-0-x.js', integrity: 'sha384-x', version: '0' },
    saltsFile: join(directory, 'salts.json'),
    config: {
      TRUSTED_PROXIES: [],
      RATE_LIMIT_PER_KEY: 1_000_000,
      RATE_LIMIT_PER_ADDRESS: 1_000_000,
      MAX_BODY_BYTES: 65_536,
      MAX_SERVER_BODY_BYTES: 524_288,
      RETENTION_MONTHS: 13,
      GEO_DATABASE: null,
      COUNTRY_HEADER: 'cf-ipcountry',
      ...config,
    },
    notReady: () => null,
    ...(now ? { now } : {}),
  })
  const app = fastify(httpOptions())
  await ingest.register(app)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const readAll = async <Kept>(topic: string): Promise<Kept[]> => {
    const [state] = await log.partitions(topic)
    const found: Kept[] = []
    if (!state || state.end === state.start) return found
    const done = new AbortController()
    for await (const { value, offset } of log.tail(topic, { from: 'start', signal: done.signal })) {
      found.push(JSON.parse(value.toString('utf8')) as Kept)
      if (offset + 1 >= state.end) break
    }
    done.abort()
    return found
  }
  return {
    url,
    port,
    registry,
    ingest,
    directory,
    async post(body, headers = {}) {
      const response = await fetch(`${url}/v1/events`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'text/plain', origin, ...headers },
      })
      return { status: response.status, answer: (await response.json()) as never, headers: response.headers }
    },
    events: () => readAll<EventRecord>(topics.events),
    refusals: () => readAll<RefusalRecord>(topics.refusals),
    async close() {
      await app.close()
      await registry.close()
      await log.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
