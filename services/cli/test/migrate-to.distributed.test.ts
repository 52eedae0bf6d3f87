import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { findRoot } from '@footfall/config/root'
import { topics } from '@footfall/contracts/event'
import { openKafkaEventLog } from '@footfall/event-log/kafka'
import { openStore, type Store } from '@footfall/store/open'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { finishClient, until } from '../../../test/ledger/bench.ts'
import { checkLedger, faultsOf } from '../../../test/ledger/check.ts'
import { startClient, type Client } from '../../../test/ledger/client.ts'
import { findPort, footfallProcess, type FootfallProcess } from '../../../test/ledger/footfall-process.ts'
import { openJournal, readJournal, type JournalFile } from '../../../test/ledger/journal.ts'
import { catalogue, origin, targets } from '../../../test/ledger/programme.ts'
import { seeded } from '../../../test/ledger/random.ts'
import { ready, startService, type RunningService } from '../../../test/servers/footfall.ts'
import { startKafka, type KafkaServers } from '../../../test/servers/kafka.ts'
import { startRedis, type RedisServer } from '../../../test/servers/redis.ts'

const entry = join(findRoot(), 'dist/footfall.js')
const token = 'migrate-to-test-token-0000'
const password = 'migrate-to-test'

let root: string
let kafka: KafkaServers
let jobRedis: RedisServer
let saltRedis: RedisServer
let embedded: RunningService
let store: Store
let journal: JournalFile
let standalone: FootfallProcess
let client: Client | null = null
let environment: Record<string, string>
const running: RunningService[] = []
/** Where the crowd sends to: first the one machine, later the ingest of the installation. */
const urls: string[] = []

const move = (more: Record<string, string> = {}) =>
  promisify(execFile)(process.execPath, [entry, 'migrate-to', '--from', standalone.directory], {
    env: { PATH: process.env.PATH, ...environment, ...more },
  })
const start = async (service: Parameters<typeof startService>[0]): Promise<RunningService> => {
  const started = await startService(service, environment, { directory: join(root, 'services') })
  running.push(started)
  return started
}
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'footfall-move-'))
  ;[kafka, jobRedis, saltRedis] = await Promise.all([
    startKafka({ brokers: 1 }),
    startRedis({}),
    startRedis({ appendonly: 'no', save: '' }),
  ])
  environment = {
    EVENT_LOG_URL: kafka.url,
    KAFKA_REPLICAS: '1',
    KAFKA_PARTITIONS: '6',
    JOB_QUEUE_URL: jobRedis.url,
    SALT_REDIS_URL: saltRedis.url,
    STORE_PASSWORD: password,
    ADMIN_TOKEN: token,
    FLUSH_INTERVAL_MS: '100',
    RATE_LIMIT_PER_KEY: '1000000',
    RATE_LIMIT_PER_ADDRESS: '1000000',
    IMPORT_SECRETS_FILE: join(root, 'import-secrets.json'),
    LOG_LEVEL: 'warn',
  }
  embedded = await start('embedded-clickhouse')
  const url = new URL(embedded.url)
  environment.STORE_URL = `http://default:${password}@${url.host}/footfall`
  store = openStore({ url: url.origin, user: 'default', password, requestTimeoutMs: 120_000 })
  journal = openJournal(join(root, 'journal'))
  standalone = footfallProcess({
    directory: join(root, 'standalone'),
    port: await findPort(Math.random),
    storePort: await findPort(Math.random),
  })
})
afterAll(async () => {
  await client?.stop()
  journal.close()
  await store.close()
  for (const service of running.reverse()) await service.stop()
  if (standalone.isRunning()) await standalone.end('SIGKILL')
  await Promise.all([kafka.stop(), jobRedis.stop(), saltRedis.stop()])
  await rm(root, { recursive: true, force: true })
})

test('a standalone server that was killed with events in its log', async () => {
  await standalone.start()
  await standalone.request('/api/v1/registry/apply', { catalogue })
  urls.push(standalone.url)
  client = startClient({
    urls,
    targets,
    origin,
    journal,
    random: seeded(7),
    requestsPerSecond: 60,
    eventsPerRequest: 5,
  })
  const sending = client
  await until(
    'events to be stored',
    async () => (await standalone.request<{ stored: number }>('/api/v1/ledger')).stored > 800,
  )
  await writeFile(
    join(standalone.directory, 'import-secrets.json'),
    JSON.stringify({ 'ledger-helsinki': 'f'.repeat(64) }),
  )
  // From now on nothing is consumed.
  await standalone.end('SIGTERM')
  await standalone.start({ FLUSH_INTERVAL_MS: '60000' })
  const before = sending.counts.events
  await until('more events', () => sending.counts.events > before + 600)
  await standalone.end('SIGKILL')
  expect(existsSync(join(standalone.directory, 'salts.json'))).toBe(true)
})

test('is not moved into an installation that consumes, or has a registry of its own, and nothing is changed', async () => {
  const consumer = await start('consumer')
  await ready(consumer)
  await expect(move()).rejects.toMatchObject({ stderr: expect.stringContaining('stop them') as string })
  await consumer.stop()
  running.splice(running.indexOf(consumer), 1)
  expect(existsSync(join(standalone.directory, 'moved.json'))).toBe(false)
  await expect(move({ STORE_URL: '' })).rejects.toMatchObject({
    stderr: expect.stringContaining('STORE_URL') as string,
  })
  await expect(move({ EVENT_LOG_URL: 'file:/tmp/x' })).rejects.toMatchObject({
    stderr: expect.stringContaining('EVENT_LOG_URL') as string,
  })
  const other = `${kafka.url}/other.`
  const log = await openKafkaEventLog({ brokers: kafka.brokers, prefix: 'other.', replicas: 1 })
  await log.append(topics.registry, [{ key: 'registry', value: '{"v":1}' }])
  await log.close()
  await expect(move({ EVENT_LOG_URL: other })).rejects.toMatchObject({
    stderr: expect.stringContaining('registry of its own') as string,
  })
  expect(existsSync(join(standalone.directory, 'moved.json'))).toBe(false)
})

test('goes over while its citizens go on sending, also when the move is killed in the middle', async () => {
  const cutOff = spawn(process.execPath, [entry, 'migrate-to', '--from', standalone.directory], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said: string[] = []
  createInterface({ input: cutOff.stdout }).on('line', (line) => {
    said.push(line)
    if (line.includes('copying events')) cutOff.kill('SIGKILL')
  })
  await once(cutOff, 'close')
  expect(said).toContain('Ingests may take beacons now: what they take waits for the consumers.')
  expect(said.join()).not.toContain('Done.')
  const ingest = await start('ingest')
  await ready(ingest)
  urls.splice(0, urls.length, ingest.url)
  await expect(standalone.start()).rejects.toThrow(/is being moved to kafka:.*migrate-to/)
  // Half of it is there: consumers wait, and say for what.
  const waiting = await start('consumer')
  await until('the consumer to say what it waits for', async () =>
    (await (await fetch(`${waiting.url}/readyz`)).text()).includes('is being moved into this store'),
  )

  const { stdout } = await move()
  expect(stdout).toMatch(/events +\d+ rows, \d+ there\n/)
  expect(stdout).not.toContain('DIFFERENT')
  expect(stdout).toContain('Done.')
  await ready(waiting)
  const console = await start('console')
  await ready(console)
  const counts = client!.counts.events
  await until('events to come to the installation', () => client!.counts.events > counts + 600)
  await finishClient(client!)
  client = null
  const ledger = async () =>
    (await (
      await fetch(`${console.url}/api/v1/ledger`, { headers: { authorization: `Bearer ${token}` } })
    ).json()) as Record<'in_log' | 'difference', number>
  await until('the log to be consumed', async () => (await ledger()).in_log === 0)
  const report = await checkLedger(store, readJournal(join(root, 'journal')))
  expect(faultsOf(report), report.examples.join('\n')).toEqual([])
  expect(report.known.acked).toBeGreaterThan(2_000)
  expect((await ledger()).difference).toBe(0)
})

test('visitors of the day are known again, secrets are carried, and nothing stays to be counted elsewhere', async () => {
  const both = await store.query(
    `SELECT visitor FROM events WHERE visitor != 0 GROUP BY deployment, local_day, visitor HAVING uniqExact(log_id) = 2`,
  )
  expect(both.length).toBeGreaterThan(100)
  expect(existsSync(join(standalone.directory, 'salts.json'))).toBe(false)
  expect(await readFile(environment.IMPORT_SECRETS_FILE!, 'utf8')).toContain('ledger-helsinki')
  await expect(standalone.start()).rejects.toThrow(/was moved to kafka:/)
})

test('a move that was killed before its last word is ended by another, also when consumers run by then', async () => {
  const file = join(standalone.directory, 'moved.json')
  const finished = await readFile(file, 'utf8')
  await writeFile(file, JSON.stringify({ ...(JSON.parse(finished) as object), finished_at: null }))
  expect((await move()).stdout).toContain('already')
  expect(await readFile(file, 'utf8')).toBe(finished)
  await expect(standalone.start()).rejects.toThrow(/was moved to kafka:/)
})
