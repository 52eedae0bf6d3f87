import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkLedger, isClean, type Report } from './check.ts'
import { footfallProcess, type FootfallProcess } from './footfall-process.ts'
import { startLoad, type Journal, type Load } from './load.ts'

export interface MatrixOptions {
  readonly killsMain: number
  readonly killsStore: number
  readonly drains: number
  readonly diskFull: number
  readonly restores: number
  readonly seed: number
  readonly say: (line: string) => void
}

export interface MatrixResult {
  readonly scenario: string
  readonly injections: number
  readonly clean: boolean
  readonly report: Report
  readonly notes: string
}

const keys = { 'ledger-a': 'pk_ledger_aaaaaaaa', 'ledger-b': 'pk_ledger_bbbbbbbb' }
const catalogue = {
  organisations: [{ id: 'ledger', name: 'Ledger', type: 'test', country: 'FI' }],
  apps: [{ id: 'ledger', name: 'Ledger' }],
  deployments: Object.entries(keys).map(([id, key]) => ({
    id,
    app: 'ledger',
    organisation: 'ledger',
    time_zone: id === 'ledger-a' ? 'Europe/Helsinki' : 'America/Los_Angeles',
    origins: ['http://ledger.test'],
    mode: 'exempt',
    keys: [key],
  })),
}

/** mulberry32: the same seed, the same run of numbers. */
function createRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits for a condition. @throws after a minute or the time given */
async function until(what: string, condition: () => Promise<boolean>, limitMs = 60_000): Promise<void> {
  for (const end = Date.now() + limitMs; Date.now() < end; await pause(50)) {
    if (await condition().catch(() => false)) return
  }
  throw new Error(`waited in vain for ${what}`)
}

const isDrained = async (footfall: FootfallProcess): Promise<boolean> => (await footfall.request<{ in_log: number }>('/api/v1/ledger')).in_log === 0

/** Waits until the log is consumed, has every day that has ended folded, then checks. */
async function settleAndCheck(footfall: FootfallProcess, journal: Journal): Promise<Report> {
  await until('the log to be consumed', () => isDrained(footfall))
  const { id } = await footfall.request<{ id: string }>('/api/v1/jobs', { kind: 'fold', payload: {} })
  await until('the folds', async () => (await footfall.request<{ state: string }>(`/api/v1/jobs/${id}`)).state === 'done')
  const store = footfall.openStore()
  try {
    return await checkLedger(store, journal)
  } finally {
    await store.close()
  }
}

interface Scenario {
  readonly footfall: FootfallProcess
  readonly journal: Journal
  readonly random: () => number
  readonly load: (requestsPerSecond?: number) => Load
}

/** Runs the faults one kind after the other, each on a data directory of its own, and checks after each. */
export async function runMatrix(options: MatrixOptions): Promise<MatrixResult[]> {
  const { say, seed } = options
  const results: MatrixResult[] = []
  let portOffset = 0

  const scenario = async (name: string, injections: number, work: (scenario: Scenario) => Promise<string>): Promise<void> => {
    if (injections === 0) return
    const random = createRandom(seed + name.length)
    const root = mkdtempSync(join(tmpdir(), 'footfall-ledger-'))
    const base = 20_000 + (process.pid % 2_000) * 10 + portOffset
    portOffset += 2
    const footfall = footfallProcess({ directory: join(root, 'data'), port: base, storePort: base + 1 })
    const journal: Journal = new Map()
    try {
      await footfall.start()
      await footfall.request('/api/v1/registry/apply', { catalogue })
      const began = Date.now()
      const load = (requestsPerSecond = 120): Load => startLoad({ url: footfall.url, keys, journal, random, requestsPerSecond, eventsPerRequest: 5 })
      const notes = await work({ footfall, journal, random, load })
      const report = await settleAndCheck(footfall, journal)
      await footfall.end('SIGTERM')
      results.push({ scenario: name, injections, clean: isClean(report), report, notes: `${notes}; ${Math.round((Date.now() - began) / 1000)} s` })
      say(`${isClean(report) ? 'ok   ' : 'WRONG'} ${name}: ${injections} times, ${report.acked} acknowledged, ${report.lost} lost, ${report.duplicated} duplicated, folds ${report.foldDifferences + report.dayDifferences} different (${notes})`)
      for (const example of report.examples) say(`      ${example}`)
    } finally {
      await footfall.end('SIGKILL').catch(() => undefined)
      rmSync(root, { recursive: true, force: true })
    }
  }

  await scenario('kill -9 of the main process', options.killsMain, async ({ footfall, random, load }) => {
    const running = load()
    let aimed = 0
    for (let kill = 0; kill < options.killsMain; kill++) {
      await pause(150 + random() * 500)
      if (kill % 2 === 0) {
        // Half are aimed inside an open claim, some of these while the insert is under way.
        const end = Date.now() + 2_000
        while (!footfall.hasOpenClaim() && Date.now() < end) await new Promise((resolve) => setImmediate(resolve))
        if (footfall.hasOpenClaim()) aimed++
        if (kill % 4 === 0) await pause(random() * 15)
      }
      await footfall.end('SIGKILL')
      await footfall.start()
      if (kill % 20 === 19) say(`      ${kill + 1} kills, ${running.sent()} events sent`)
    }
    await running.stop()
    return `${aimed} inside an open claim`
  })

  await scenario('kill -9 of embedded ClickHouse', options.killsStore, async ({ footfall, random, load }) => {
    const running = load()
    let hit = 0
    for (let kill = 0; kill < options.killsStore; kill++) {
      await pause(200 + random() * 600)
      const end = Date.now() + 1_000
      while (kill % 2 === 0 && !footfall.hasOpenClaim() && Date.now() < end) await new Promise((resolve) => setImmediate(resolve))
      if (footfall.killStore()) hit++
    }
    await running.stop()
    return `${hit} hit`
  })

  await scenario('SIGTERM under load', options.drains, async ({ footfall, random, load }) => {
    const running = load()
    let slowest = 0
    for (let drain = 0; drain < options.drains; drain++) {
      await pause(200 + random() * 500)
      const { code, ms } = await footfall.end('SIGTERM')
      slowest = Math.max(slowest, ms)
      if (code !== 0 || ms > 10_000) throw new Error(`a drain ended with ${code} after ${ms} ms`)
      await footfall.start()
    }
    await running.stop()
    return `slowest ${slowest} ms`
  })

  await scenario('disk full and space returned', options.diskFull, async ({ footfall, journal, load }) => {
    // A disk of its own for the log: memory, so that it can be filled and freed.
    await footfall.end('SIGTERM')
    const log = join(footfall.directory, 'log')
    const keep = `${log}-before`
    cpSync(log, keep, { recursive: true })
    rmSync(log, { recursive: true })
    mkdirSync(log)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=400m', 'tmpfs', log])
    try {
      cpSync(keep, log, { recursive: true })
      await footfall.start()
      let refused = 0
      for (let round = 0; round < options.diskFull; round++) {
        const before = journal.size
        const running = load(200)
        await until('events before', async () => journal.size > before + 500)
        writeFileSync(join(log, 'filler'), Buffer.alloc(300_000_000))
        await until('a refusal', async () => (running.errors()['503'] ?? 0) > 20)
        rmSync(join(log, 'filler'))
        const size = journal.size
        await until('events after', async () => journal.size > size + 500)
        await running.stop()
        refused += running.errors()['503'] ?? 0
      }
      await until('the log to be consumed', () => isDrained(footfall))
      await footfall.end('SIGTERM')
      rmSync(keep, { recursive: true })
      cpSync(log, keep, { recursive: true })
      return `${refused} requests were asked to wait`
    } finally {
      execFileSync('umount', [log])
      rmSync(log, { recursive: true, force: true })
      cpSync(keep, log, { recursive: true })
      await footfall.start()
    }
  })

  await scenario('log and store of different moments', options.restores, async ({ footfall, load }) => {
    const copy = (what: string, to: string): void => cpSync(join(footfall.directory, what), join(footfall.directory, '..', to), { recursive: true })
    const put = (what: string, from: string): void => {
      rmSync(join(footfall.directory, what), { recursive: true, force: true })
      cpSync(join(footfall.directory, '..', from), join(footfall.directory, what), { recursive: true })
    }
    const sendSome = async (ms: number): Promise<void> => {
      const running = load()
      await pause(ms)
      await running.stop()
    }
    for (let round = 0; round < options.restores; round++) {
      // The older part is of now, the newer of later: once the store is behind, once the log.
      const older = round % 2 === 0 ? 'store' : 'log'
      await sendSome(800)
      if (older === 'log') await until('the log to be consumed', () => isDrained(footfall))
      await footfall.end('SIGTERM')
      copy(older, `${older}-${round}`)
      await footfall.start()
      await sendSome(800)
      await until('the log to be consumed', () => isDrained(footfall))
      await footfall.end('SIGTERM')
      put(older, `${older}-${round}`)
      footfall.run(['restore', '--resume'])
      await footfall.start()
      await sendSome(500)
    }
    return 'resumed from what the store holds'
  })
  return results
}
