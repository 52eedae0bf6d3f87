import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dirtyDays } from '@footfall/store/fold'
import { openStore, type Store } from '@footfall/store/open'
import { startInstallation, type Installation } from '../servers/distributed.ts'
import { ready } from '../servers/footfall.ts'
import { finishClient, pause, until, type Facts } from './bench.ts'
import { checkLedger, faultsOf, type Report } from './check.ts'
import { startClient, type Client } from './client.ts'
import { hashContent, openJournal, readJournal, type JournalFile } from './journal.ts'
import { print, type PhaseResult } from './matrix.ts'
import { catalogue, origin, targets } from './programme.ts'
import { newId, seeded } from './random.ts'

export interface DistributedOptions {
  /** How often each thing is killed. */
  readonly kills: number
  /** How often a consumer sleeps past its session. */
  readonly sleeps: number
  /** How many answers are lost, of each kind. */
  readonly lost: number
  /** How often a third consumer comes and goes. */
  readonly rebalances: number
  /** How many events are sent to both ingests at once. */
  readonly twins: number
  /** Seconds without Kafka, and without ClickHouse; 0: not. */
  readonly awaySeconds: number
  readonly seed: number
  readonly say: (line: string) => void
}

export interface DistributedResult {
  readonly seed: number
  readonly phases: readonly PhaseResult[]
  /** Why the matrix did not come to its end. */
  readonly stoppedBy: string | null
  /** What the services said, how often. */
  readonly messages: Facts
  readonly clean: boolean
}

const token = 'distributed-ledger-token'
const sessionTimeoutMs = 6_000
const bearer = { authorization: `Bearer ${token}` }

/** What the matrix works with. */
interface World {
  readonly installation: Installation
  readonly store: Store
  readonly random: () => number
  readonly say: (line: string) => void
  load(requestsPerSecond?: number): Client
  finish(client: Client): Promise<Facts>
}

const pick = <Item>({ random }: World, items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!
/** A moment of load, so that a fault meets work at any of its steps. */
const spell = ({ random }: World, most = 1_500): Promise<void> => pause(100 + random() * most)

async function metricOf(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN)
}
const spooledOf = async ({ ingests }: Installation): Promise<number> =>
  (await Promise.all(ingests.map(({ url }) => metricOf(url, 'footfall_spool_records')))).reduce((a, b) => a + b, 0)
/** Records that the consumers have not taken yet, by what they say once a second. */
const lagOf = async ({ consumers }: Installation): Promise<number> =>
  (await Promise.all(consumers.map(({ url }) => metricOf(url, 'footfall_consumer_lag_records')))).reduce(
    (a, b) => a + b,
    0,
  )
const inLogOf = async ({ console }: Installation): Promise<number> => {
  const answer = await fetch(`${console.url}/api/v1/ledger`, { headers: bearer, signal: AbortSignal.timeout(20_000) })
  if (!answer.ok) throw new Error(`ledger: ${answer.status}`)
  return ((await answer.json()) as { in_log: number }).in_log
}

/** Waits until spools and log are empty. */
async function drained(installation: Installation): Promise<void> {
  let isQuiet = 0
  await until(
    'spools and log to be empty',
    async () => {
      const isEmpty = (await spooledOf(installation)) === 0 && (await inLogOf(installation)) === 0
      // A spool is counted once a second: what was empty three times is.
      isQuiet = isEmpty ? isQuiet + 1 : 0
      return isQuiet >= 3
    },
    240_000,
    1_000,
  )
}

/** Repeats a fault under load, at moments that the seed chooses. */
async function repeat(world: World, times: number, fault: (nth: number) => Promise<unknown>): Promise<Facts> {
  const client = world.load()
  await spell(world)
  for (let nth = 0; nth < times; nth++) {
    await fault(nth)
    await spell(world)
  }
  return world.finish(client)
}

const killService = (world: World, which: 'ingests' | 'consumers', times: number): Promise<Facts> =>
  repeat(world, times, async () => {
    const service = pick(world, world.installation[which])
    await service.kill()
    await spell(world, 800)
    await service.start()
    await ready(service)
  })

const killBroker = (world: World, times: number): Promise<Facts> =>
  repeat(world, times, async (nth) => {
    const { kafka } = world.installation
    await kafka.kill(1 + (nth % 3))
    await spell(world, 3_000)
    await kafka.start(1 + (nth % 3))
    await kafka.inSync()
  })

const killRedis = (world: World, times: number): Promise<Facts> =>
  repeat(world, times, async (nth) => {
    const { jobRedis, saltRedis } = world.installation
    const redis = nth % 2 === 0 ? jobRedis : saltRedis
    await redis.kill()
    await spell(world)
    await redis.restart()
  })

const killStore = (world: World, times: number): Promise<Facts> =>
  repeat(world, times, async () => {
    world.installation.killStore()
    await until('the store', () => world.store.ping(), 60_000)
  })

/** A consumer sleeps past its session, and wakes as one that no longer is in the group. */
const sleepConsumer = (world: World, times: number): Promise<Facts> =>
  repeat(world, times, async () => {
    const consumer = pick(world, world.installation.consumers)
    consumer.signal('SIGSTOP')
    await pause(sessionTimeoutMs * 1.4)
    consumer.signal('SIGCONT')
    await spell(world, 3_000)
  })

async function loseAnswers(world: World, times: number): Promise<Facts> {
  const { kafka, storeProxy } = world.installation
  const client = world.load()
  const lost = (): { kafka: number; store: number } => ({
    kafka: kafka.proxies.reduce((sum, proxy) => sum + proxy.lost(), 0),
    store: storeProxy.lost(),
  })
  const before = lost()
  for (let nth = 0; nth < times; nth++) {
    for (const proxy of kafka.proxies) proxy.lose(1)
    storeProxy.lose(1)
    await spell(world, 2_000)
  }
  const facts = await world.finish(client)
  const after = lost()
  return {
    ...facts,
    'answers of brokers lost': after.kafka - before.kafka,
    'answers of the store lost': after.store - before.store,
  }
}

/** A third consumer comes and goes, so that every partition changes hands over and over. */
const storm = (world: World, times: number): Promise<Facts> =>
  repeat(world, times, async (nth) => {
    const third = await world.installation.start('consumer', `consumer-storm-${nth}`)
    await ready(third)
    await spell(world)
    await (nth % 2 === 0 ? third.stop() : third.kill())
  })

/** The very same event at two ingests at the same moment. */
async function sendTwins(world: World, times: number, journal: JournalFile): Promise<Facts> {
  const { ingests } = world.installation
  const { key, deployment } = targets[0]!
  let accepted = 0
  for (let nth = 0; nth < times; nth++) {
    const at = Date.now()
    const id = newId(at, world.random)
    const said = { at, name: 'page_view', host: new URL(origin).host, path: '/twin', note: '' }
    const content = hashContent({ ...said, journey: '', journeyId: '', outcome: '', rating: 0 })
    journal.sending([{ deployment, id, content, isLate: false }])
    const events = [{ id, name: said.name, at, url: `${origin}/twin` }]
    const body = JSON.stringify({ key, sent_at: at, events })
    const answers = await Promise.all(
      ingests.map(({ url }) =>
        fetch(`${url}/v1/events`, { method: 'POST', body, headers: { origin, 'content-type': 'text/plain' } }),
      ),
    )
    const taken = answers.filter(({ status }) => status === 202).length
    if (taken > 0) journal.answered(deployment, [id], 'acked')
    accepted += taken
  }
  return { events: times, 'accepted copies': accepted }
}

/** All brokers stand still: ingest takes events all the while, and hands them on afterwards. */
async function kafkaAway(world: World, seconds: number): Promise<Facts> {
  const { kafka } = world.installation
  const client = world.load()
  await spell(world)
  for (const broker of [1, 2, 3]) kafka.signal(broker, 'SIGSTOP')
  let most = 0
  for (const end = Date.now() + seconds * 1_000; Date.now() < end; await pause(1_000))
    most = Math.max(most, await spooledOf(world.installation))
  for (const broker of [1, 2, 3]) kafka.signal(broker, 'SIGCONT')
  await spell(world, 5_000)
  const facts = await world.finish(client)
  return { ...facts, 'spooled at most': most }
}

/** The store stands still while 500 events a second come, then catches up. */
async function storeAway(world: World, seconds: number): Promise<Facts> {
  const { store } = world.installation
  const client = world.load(100)
  await spell(world)
  await store.stop()
  await pause(seconds * 1_000)
  await store.start()
  const backlog = await lagOf(world.installation)
  const began = Date.now()
  await until('the store to catch up', async () => (await lagOf(world.installation)) < 2_000, 240_000, 200)
  const tookSeconds = (Date.now() - began) / 1_000
  const facts = await world.finish(client)
  // What came meanwhile was stored too.
  return {
    ...facts,
    backlog,
    'caught up, events a second': Math.round(backlog / tookSeconds + 500),
  }
}

/** After all that: does every ingest still hear of a change of the registry? */
async function changeRegistry({ installation }: World): Promise<Facts> {
  const [added] = catalogue.deployments
  const later = { ...added!, id: 'ledger-later', keys: ['pk_ledger_later'] }
  await applyCatalogue(installation, { ...catalogue, deployments: [...catalogue.deployments, later] }, [later.id])
  return {}
}

async function applyCatalogue(
  { console, ingests }: Installation,
  whole: object,
  ids: readonly string[],
): Promise<void> {
  const applied = await fetch(`${console.url}/api/v1/registry/apply`, {
    method: 'POST',
    headers: { ...bearer, 'content-type': 'application/json' },
    body: JSON.stringify({ catalogue: whole }),
  })
  if (!applied.ok) throw new Error(`registry: ${await applied.text()}`)
  for (const { url } of ingests)
    await until('an ingest to hear of the registry', async () => {
      const answers = await Promise.all(ids.map((id) => fetch(`${url}/privacy/${id}`)))
      return answers.every(({ status }) => status === 200)
    })
}

/** Runs every kind of fault on one distributed installation; checks after each kind and at the end. */
export async function runDistributedMatrix(options: DistributedOptions): Promise<DistributedResult> {
  const { say, seed } = options
  const random = seeded(seed)
  const root = mkdtempSync(join(tmpdir(), 'footfall-distributed-ledger-'))
  const journalFile = join(root, 'journal')
  const journal = openJournal(journalFile)
  const phases: PhaseResult[] = []
  const clients = new Set<Client>()
  const messages: Record<string, number> = {}
  const last: string[] = []
  let loads = 0
  let stoppedBy: string | null = null
  let installation: Installation | null = null
  let store: Store | null = null
  try {
    const running = (installation = await startInstallation({
      adminToken: token,
      environment: {
        FLUSH_INTERVAL_MS: '100',
        KAFKA_SESSION_TIMEOUT_MS: String(sessionTimeoutMs),
        RATE_LIMIT_PER_KEY: '1000000',
        RATE_LIMIT_PER_ADDRESS: '1000000',
      },
      onLine(service, line) {
        last.push(`${service}: ${line}`.slice(0, 400))
        if (last.length > 60) last.shift()
        const said = /"msg":"([^"]+)"/.exec(line)?.[1]
        if (said === undefined) return
        const what = `${service.replace(/-.*/, '')}: ${said.slice(0, 90)}`
        messages[what] = (messages[what] ?? 0) + 1
      },
    }))
    const opened = (store = openStore({
      url: new URL(running.storeUrl).origin,
      user: 'default',
      password: new URL(running.storeUrl).password,
      requestTimeoutMs: 120_000,
    }))
    await applyCatalogue(
      running,
      catalogue,
      targets.map(({ deployment }) => deployment),
    )

    const world: World = {
      installation: running,
      store: opened,
      random,
      say,
      load(requestsPerSecond = 80) {
        const client = startClient({
          urls: running.ingests.map(({ url }) => url),
          targets,
          origin,
          journal,
          random: seeded(seed + ++loads),
          requestsPerSecond,
          eventsPerRequest: 5,
        })
        clients.add(client)
        return client
      },
      async finish(client) {
        const facts = await finishClient(client)
        clients.delete(client)
        return facts
      },
    }
    const phase = async (
      name: string,
      injections: number,
      work: () => Promise<Facts>,
      whole = false,
    ): Promise<void> => {
      if (injections === 0) return
      const began = Date.now()
      const facts = await work()
      await drained(running)
      // Yesterday by UTC has not ended everywhere.
      const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)
      if (whole)
        await until('the folds', async () => (await dirtyDays(opened, () => yesterday)).length === 0, 150_000, 500)
      const report: Report = await checkLedger(opened, readJournal(journalFile))
      const faults = faultsOf(report)
      phases.push({ phase: name, injections, facts, seconds: Math.round((Date.now() - began) / 1_000), report })
      say(`${faults.length === 0 ? 'ok   ' : 'WRONG'} ${name}: ${print(facts)}`)
      for (const example of report.examples) say(`      ${example}`)
      if (faults.length > 0) throw new Error(`${name}: ${faults.join(', ')}`)
    }

    const { kills, awaySeconds } = options
    await phase('kill -9 of an ingest', kills, () => killService(world, 'ingests', kills))
    await phase('kill -9 of a consumer', kills, () => killService(world, 'consumers', kills))
    await phase('kill -9 of a broker', kills, () => killBroker(world, kills))
    await phase('kill -9 of ClickHouse', kills, () => killStore(world, kills))
    await phase('kill -9 of a Redis', kills, () => killRedis(world, kills))
    await phase('a consumer sleeps past its session', options.sleeps, () => sleepConsumer(world, options.sleeps))
    await phase('answers lost after the server had acted', options.lost, () => loseAnswers(world, options.lost))
    await phase('a rebalance storm', options.rebalances, () => storm(world, options.rebalances))
    await phase('the same event at two ingests', options.twins, () => sendTwins(world, options.twins, journal))
    await phase('Kafka away', awaySeconds, () => kafkaAway(world, awaySeconds))
    await phase('ClickHouse away', awaySeconds, () => storeAway(world, awaySeconds))
    await phase('the registry is followed', 1, () => changeRegistry(world))
    await phase('everything folded', 1, () => Promise.resolve({}), true)
  } catch (error) {
    stoppedBy = `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n${last.slice(-25).join('\n')}`
  } finally {
    await Promise.all([...clients].map((client) => client.stop()))
    await store?.close()
    await installation?.close()
    journal.close()
  }
  rmSync(root, { recursive: true, force: true })
  return {
    seed,
    phases,
    stoppedBy,
    messages,
    clean: stoppedBy === null && phases.every(({ report }) => faultsOf(report).length === 0),
  }
}
