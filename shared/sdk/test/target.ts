import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify from 'fastify'
import type { Beacon } from '@footfall/contracts/beacon'
import { topics, type EventRecord } from '@footfall/contracts/event'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { createIngest } from '@footfall/ingest/app'
import { readSdk, type ServedSdk } from '@footfall/ingest/routes/sdk'
import { openRegistry } from '@footfall/registry/registry'
import { createLogger } from '@footfall/telemetry/logger'
import { createMetrics } from '@footfall/telemetry/metrics'
import { watchedList, type WatchedList } from './watched-list.ts'

/**
 * What the gate does to one beacon: hands it to ingest; answers in its stead; cuts the connection before ingest has
 * seen it; or hands it over and cuts the connection instead of bringing the answer back.
 */
export type Behaviour = 'pass' | 'cut' | 'lose-answer' | { status: number; headers?: Record<string, string> }

export interface Target {
  /** Origin of the gate, which stands before ingest. */
  readonly url: string
  readonly key: string
  readonly sdk: ServedSdk
  /** What is in the event log, in order. */
  readonly stored: WatchedList<EventRecord>
  /** The beacons that reached the gate, whatever became of them. */
  readonly beacons: WatchedList<Beacon>
  /** What happens to the next beacons, one by one; those after them pass. */
  behave(...behaviours: Behaviour[]): void
  close(): Promise<void>
}

const root = join(import.meta.dirname, '../../..')
const key = 'pk_browsertest'

export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export async function shut(server: Server): Promise<void> {
  // In this order: a request that outlived its page may still come in while the others are cut.
  const closed = new Promise((resolve) => server.close(resolve))
  server.closeAllConnections()
  await closed
}

async function readAll(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of message) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

/** The real ingest over a real log, behind a gate that can refuse, cut and lose. */
export async function startTarget(): Promise<Target> {
  const directory = await mkdtemp(join(tmpdir(), 'footfall-sdk-'))
  const log = await openEmbeddedEventLog({ directory: join(directory, 'log'), minFreeBytes: 0 })
  const registry = await openRegistry({ log, snapshotFile: join(directory, 'registry.json') })
  const deployment = {
    id: 'browser-test',
    app: 'test',
    organisation: 'test',
    time_zone: 'UTC',
    mode: 'exempt' as const,
  }
  await registry.apply(
    {
      organisations: [{ id: 'test', name: 'Test', type: 'city', country: 'FI' }],
      apps: [{ id: 'test', name: 'Test' }],
      deployments: [{ ...deployment, origins: ['http://localhost'], keys: [key] }],
    },
    { actor: 'test' },
  )
  const sdk = readSdk(root)
  const ingest = createIngest({
    log,
    registry,
    metrics: createMetrics(),
    logger: createLogger('silent'),
    sdk,
    saltsFile: join(directory, 'salts.json'),
    config: {
      TRUSTED_PROXIES: [],
      RATE_LIMIT_PER_KEY: 100,
      RATE_LIMIT_PER_ADDRESS: 2_000,
      MAX_BODY_BYTES: 65_536,
      MAX_SERVER_BODY_BYTES: 524_288,
      RETENTION_MONTHS: 25,
      GEO_DATABASE: null,
      COUNTRY_HEADER: null,
    },
    notReady: () => null,
  })
  // Clients that went away would otherwise hold up the end of a test.
  const app = fastify({ forceCloseConnections: true })
  await ingest.register(app)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo

  const stored = watchedList<EventRecord>()
  const stopping = new AbortController()
  const tailing = (async () => {
    for await (const { value } of log.tail(topics.events, { from: 'start', signal: stopping.signal })) {
      stored.push(JSON.parse(value.toString('utf8')) as EventRecord)
    }
  })()

  const beacons = watchedList<Beacon>()
  let behaviours: Behaviour[] = []
  const handOver = (from: IncomingMessage, body: Buffer, answer: (response: IncomingMessage) => void): void => {
    const { method, url, headers } = from
    request({ host: '127.0.0.1', port, method, path: url, headers }, answer)
      .on('error', () => from.socket.destroy())
      .end(body)
  }
  const pass = async (from: IncomingMessage, to: ServerResponse): Promise<void> => {
    const body = await readAll(from)
    let behaviour: Behaviour = 'pass'
    if (from.method === 'POST' && from.url === '/v1/events') {
      behaviour = behaviours.shift() ?? 'pass'
      beacons.push(JSON.parse(body.toString('utf8')) as Beacon)
    }
    if (behaviour === 'pass') {
      handOver(from, body, (response) => response.pipe(to.writeHead(response.statusCode!, response.headers)))
    } else if (behaviour === 'cut') {
      from.socket.destroy()
    } else if (behaviour === 'lose-answer') {
      handOver(from, body, () => from.socket.destroy())
    } else {
      const cors = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'retry-after' }
      to.writeHead(behaviour.status, { 'content-type': 'text/html', ...cors, ...behaviour.headers }).end('<p>No.</p>')
    }
  }
  const gate = createServer((from, to) => {
    // A page that goes away cuts its requests: no fault of the test.
    pass(from, to).catch(() => from.socket.destroy())
  })

  return {
    url: await listen(gate),
    key,
    sdk,
    stored,
    beacons,
    behave(...next) {
      behaviours = next
    },
    async close() {
      await shut(gate)
      await app.close()
      stopping.abort()
      await tailing
      await registry.close()
      await log.close()
      await rm(directory, { recursive: true })
    },
  }
}
