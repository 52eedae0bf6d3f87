import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { findRoot } from '@footfall/config/root'
import { superviseEmbeddedClickHouse } from '@footfall/embedded-clickhouse/supervise'
import { shiftDay } from '@footfall/enrichment/local-time'
import { dirtyDays } from '@footfall/store/fold'
import { migrationsDirectory } from '@footfall/store/migrate'
import { openStore, type Store } from '@footfall/store/open'
import { drained, until } from '../ledger/bench.ts'
import { findPort, footfallProcess, kill, type FootfallProcess } from '../ledger/footfall-process.ts'
import { readContents, type Fixture } from './contents.ts'

const { values } = parseArgs({ options: { version: { type: 'string' } } })
const { version: ours } = JSON.parse(readFileSync(join(findRoot(), 'package.json'), 'utf8')) as { version: string }
if (values.version !== ours) throw new Error(`--version must be ${ours}: a fixture is made by the version it is of.`)

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const origin = 'https://fixture.example'
const zones = { 'harbour-permits': 'Europe/Helsinki', 'harbour-parks': 'UTC', 'valley-permits': 'America/New_York' }
type Deployment = keyof typeof zones
const deployments = Object.keys(zones) as Deployment[]
const imported = 'harbour-parks'
const keys = Object.fromEntries(deployments.map((id) => [id, `pk_fixture_${id.replace('-', '_')}`]))
const catalogue = {
  organisations: [
    { id: 'harbour', name: 'Harbour', type: 'city', country: 'FI' },
    { id: 'valley', name: 'Valley', type: 'city', country: 'US' },
  ],
  apps: ['permits', 'parks'].map((id) => ({ id, name: id })),
  deployments: deployments.map((id) => ({
    id,
    app: id.split('-')[1],
    organisation: id.split('-')[0],
    url: origin,
    time_zone: zones[id],
    origins: [origin],
    mode: 'exempt',
    keys: [keys[id]],
  })),
}

interface Draft {
  readonly id: string
  readonly name: string
  readonly [field: string]: unknown
}

const root = mkdtempSync(join(tmpdir(), 'footfall-fixture-'))
const directory = join(root, 'data')
const fixtures = join(findRoot(), 'test/upgrades/fixtures')
const processes: FootfallProcess[] = []
async function open(data: string): Promise<FootfallProcess> {
  const ports = { port: await findPort(Math.random), storePort: await findPort(Math.random) }
  const footfall = footfallProcess({ directory: data, ...ports })
  processes.push(footfall)
  await footfall.start()
  return footfall
}

let made = 0
const started = Date.now()
/** An event some days and minutes ago. Everything but the time is the same at each run. */
const draft = (daysAgo: number, more: { name?: string; [field: string]: unknown } = {}): Draft => {
  const number = ++made
  // One after the other, the last of them well before now.
  const at = started - daysAgo * dayMs - hourMs + number * 1_000
  return {
    id: `0190f1f1-0000-7000-8000-${number.toString(16).padStart(12, '0')}`,
    name: 'page_view',
    at,
    url: `${origin}/page-${number % 7}`,
    ...more,
  }
}
const agents = [
  'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1',
  'Googlebot/2.1 (+http://www.google.com/bot.html)',
]
let accepted = 0
/** @throws when another number of events is accepted than expected */
async function send(
  { url }: FootfallProcess,
  deployment: Deployment,
  events: readonly object[],
  { agent = agents[0]!, from = origin, expected = events.length } = {},
): Promise<void> {
  const response = await fetch(`${url}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain', origin: from, 'user-agent': agent },
    body: JSON.stringify({ key: keys[deployment], sent_at: Date.now(), page_id: `load-${made}`, events }),
  })
  const answer = (await response.json()) as { accepted?: number }
  if ((answer.accepted ?? 0) !== expected)
    throw new Error(`${expected} of ${events.length} should be accepted: ${JSON.stringify(answer)}`)
  accepted += expected
}

async function run(footfall: FootfallProcess, kind: string, payload: unknown): Promise<void> {
  const { id } = await footfall.request<{ id: string }>('/api/v1/jobs', { kind, payload })
  await until(`the job ${kind}`, async () => {
    const job = await footfall.request<{ state: string; error: string | null }>(`/api/v1/jobs/${id}`)
    if (job.state === 'failed') throw new Error(job.error ?? 'failed')
    return job.state === 'done'
  })
}

/** A week of three deployments with everything that an event can be. Returns one that is stored. */
async function sendWeek(footfall: FootfallProcess): Promise<Fixture['stored']> {
  let seq = 0
  for (const [index, deployment] of deployments.entries())
    for (let daysAgo = 6; daysAgo >= 0; daysAgo--)
      for (const agent of agents) {
        const journey = { name: 'permit', id: `j-${index}-${daysAgo}-${agents.indexOf(agent)}` }
        await send(
          footfall,
          deployment,
          [
            draft(daysAgo, { seq: seq++, referrer: 'https://search.example/' }),
            draft(daysAgo, { seq: seq++, props: { note: 'a note' } }),
            draft(daysAgo, { name: 'journey_start', journey }),
            ...(daysAgo % 2 === 0
              ? [draft(daysAgo, { name: 'journey_complete', journey: { ...journey, outcome: 'done' } })]
              : []),
            draft(daysAgo, { name: 'rating', rating: 1 + ((daysAgo + index) % 5) }),
            draft(daysAgo, { name: 'dataset_used', dataset: 'parking' }),
            draft(daysAgo, { name: 'permit_opened', value: 1.5 }),
          ],
          { agent },
        )
      }
  const [first] = deployments
  const event = draft(1)
  await send(footfall, first!, [event])
  // A copy; one that comes too late to be counted; some that are refused.
  await send(footfall, first!, [event])
  await send(footfall, first!, [draft(9)])
  await send(footfall, first!, [draft(0, { name: 'Not A Name' })], { expected: 0 })
  await send(footfall, first!, [draft(0)], { from: 'https://elsewhere.example', expected: 0 })
  return { deployment: first!, event }
}

const importedLines = 12
function accessLog(): string {
  const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
  return Array.from({ length: importedLines }, (_, line) => {
    const [year, month, day] = new Date(started - (12 - (line % 3)) * dayMs).toISOString().slice(0, 10).split('-')
    const when = `${day}/${months[Number(month) - 1]}/${year}:10:00:${String(line).padStart(2, '0')} +0000`
    return `203.0.113.${line % 4} - - [${when}] "GET /old-${line % 5} HTTP/1.1" 200 512 "-" "${agents[0]}"\n`
  }).join('')
}

/**
 * Leaves a claim open whose rows are stored and whose end is not: the ledger, written last, takes nothing more. Behind it
 * more events come that nobody has read. Resolves to how many the ledger has not.
 */
async function cutOff(footfall: FootfallProcess): Promise<number> {
  const store = footfall.openStore()
  const countEvents = async (): Promise<number> =>
    Number((await store.query<{ n: string }>('SELECT count() AS n FROM events'))[0]!.n)
  const before = await countEvents()
  await store.command('ALTER TABLE ledger MODIFY SETTING parts_to_throw_insert = 1')
  const claimed = Array.from({ length: 5 }, () => draft(3))
  await send(footfall, deployments[0]!, claimed)
  await until('the rows of the claim', async () => (await countEvents()) === before + claimed.length)
  if (!footfall.hasOpenClaim()) throw new Error('the claim is not open')
  await store.close()
  const unread = deployments.map((deployment) => ({ deployment, events: [draft(0), draft(1), draft(3)] }))
  for (const { deployment, events } of unread) await send(footfall, deployment, events)
  const engine = await footfall.storePid()
  await footfall.end('SIGKILL')
  await until('the engine to end', () => !kill(engine, 0), 20_000)
  if (!footfall.hasOpenClaim()) throw new Error('the claim was closed')
  return unread.reduce((sum, { events }) => sum + events.length, claimed.length)
}

/** What the store of a directory says whose processes have ended. */
async function withStore<Result>(data: string, work: (store: Store) => Promise<Result>): Promise<Result> {
  const engine = await superviseEmbeddedClickHouse({ directory: join(data, 'store') })
  const store = openStore({ url: `${engine.url}/footfall`, user: engine.user, password: engine.password })
  try {
    return await work(store)
  } finally {
    await store.close()
    await engine.close()
  }
}

/** Takes out what is nobody's business, what names this machine, and what is made anew at each start. */
function scrub(): void {
  for (const name of [
    'salts.json',
    'admin-token',
    'server.json',
    'log/lock',
    'store/engine.xml',
    'store/spool',
    'store/backups',
    'store/clickhouse/owner.pid',
  ])
    rmSync(join(directory, name), { recursive: true, force: true })
  for (const entry of readdirSync(join(directory, 'jobs'), { recursive: true, encoding: 'utf8' })) {
    const file = join(directory, 'jobs', entry)
    if (!statSync(file).isFile()) continue
    const text = readFileSync(file, 'utf8')
    if (text.includes(root)) writeFileSync(file, text.replaceAll(root, '/var/lib/footfall'))
  }
}

function pack(file: string): void {
  const tar = [
    '--sort=name',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--mode=u=rwX,go=',
    `--mtime=@${Math.floor(started / 1_000)}`,
  ]
  execFileSync('tar', [...tar, '--use-compress-program=gzip -n -9', '-cf', file, '-C', root, 'data'])
}

async function make(): Promise<void> {
  const footfall = await open(directory)
  await footfall.request('/api/v1/registry/apply', { catalogue })
  const { key: serverKey } = await footfall.request<{ key: string }>('/api/v1/keys', { deployment: deployments[0] })
  const { token: readToken } = await footfall.request<{ token: string }>('/api/v1/tokens', {
    scope: 'read',
    days: 730,
  })
  await until('the registry', async () => (await fetch(`${footfall.url}/privacy/${deployments.at(-1)}`)).status === 200)
  const stored = await sendWeek(footfall)
  const log = join(root, 'access.log')
  writeFileSync(log, accessLog())
  await run(footfall, 'import', { deployment: imported, path: log })
  accepted += importedLines
  await drained(footfall)
  const from = new Date(started - 15 * dayMs).toISOString().slice(0, 10)
  const to = shiftDay(new Date(started).toISOString().slice(0, 10), 1)
  const refusals = `/api/v1/metrics/refused_events?deployment=${deployments[0]}&from=${from}&to=${to}`
  await until('the refusals', async () => (await footfall.request<{ rows: unknown[] }>(refusals)).rows.length >= 1)
  await run(footfall, 'fold', {})
  const erased = new Date(started - 4 * dayMs).toISOString().slice(0, 10)
  await run(footfall, 'erase', { deployment: deployments.at(-1), from: erased, to: erased })
  const unconsumed = await cutOff(footfall)
  const madeAt = Date.now()
  const dirty = await withStore(directory, async (store) => {
    await store.command('ALTER TABLE ledger RESET SETTING parts_to_throw_insert')
    return dirtyDays(store, () => '9999-12-31')
  })
  const yesterday = new Date(started - dayMs).toISOString().slice(0, 10)
  if (!dirty.some(({ local_day }) => local_day < yesterday)) throw new Error('a fold came in between: make it again')
  scrub()

  const copy = join(root, 'copy')
  cpSync(directory, copy, { recursive: true, verbatimSymlinks: true })
  const again = await open(copy)
  await drained(again)
  await run(again, 'fold', {})
  const store = again.openStore()
  const contents = await readContents((path) => again.request(path), store, { keys, from, to })
  await store.close()
  await again.end('SIGTERM')

  const fixture: Fixture = {
    version: ours,
    madeAt,
    migrations: readdirSync(migrationsDirectory()).sort(),
    from,
    to,
    origin,
    keys,
    serverKey,
    readToken,
    accepted,
    unconsumed,
    dirtyDays: dirty.map(({ deployment, local_day }) => `${deployment} ${local_day}`).sort(),
    stored,
    contents,
  }
  mkdirSync(fixtures, { recursive: true })
  pack(join(fixtures, `${ours}.tar.gz`))
  writeFileSync(join(fixtures, `${ours}.json`), `${JSON.stringify(fixture, null, 2)}\n`)
  console.log(`${ours}: ${accepted} events, ${(statSync(join(fixtures, `${ours}.tar.gz`)).size / 1e3).toFixed(0)} kB`)
}

try {
  await make()
} finally {
  for (const footfall of processes) await footfall.end('SIGKILL').catch(() => undefined)
  rmSync(root, { recursive: true, force: true })
}
