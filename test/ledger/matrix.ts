import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dirtyDays } from '@footfall/store/fold'
import { checkLedger, faultsOf, type Report } from './check.ts'
import { drained, finishClient, until, type Bench, type Facts } from './bench.ts'
import { startClient, type Client } from './client.ts'
import { fillDisk } from './fill-disk.ts'
import { findPort, footfallProcess } from './footfall-process.ts'
import { openJournal, readJournal } from './journal.ts'
import { drain, killMain, killStore } from './kills.ts'
import { catalogue, origin, targets } from './programme.ts'
import { seeded } from './random.ts'
import { restoreBackup, restoreMoments } from './restore.ts'

export interface MatrixOptions {
  readonly killsMain: number
  readonly killsStore: number
  readonly drains: number
  readonly diskFull: number
  readonly restores: number
  readonly seed: number
  readonly say: (line: string) => void
}

export interface PhaseResult {
  readonly phase: string
  readonly injections: number
  readonly facts: Facts
  readonly seconds: number
  /** State of everything sent so far, when the phase was over and the log consumed. */
  readonly report: Report
}

export interface MatrixResult {
  readonly seed: number
  readonly phases: readonly PhaseResult[]
  /** Why the matrix did not come to its end. */
  readonly stoppedBy: string | null
  /** What the process said over all its lives, how often. */
  readonly messages: Facts
  readonly clean: boolean
}

export const print = (facts: Facts): string =>
  Object.entries(facts)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')

/** Runs every kind of fault on one data directory, so that its state grows old; checks after each kind and at the end. */
export async function runMatrix(options: MatrixOptions): Promise<MatrixResult> {
  const { say, seed } = options
  const root = mkdtempSync(join(tmpdir(), 'footfall-ledger-'))
  const random = seeded(seed)
  const port = await findPort(Math.random)
  const footfall = footfallProcess({
    directory: join(root, 'data'),
    port,
    storePort: await findPort(Math.random),
  })
  const journalFile = join(root, 'journal')
  const journal = openJournal(journalFile)
  const phases: PhaseResult[] = []
  const clients = new Set<Client>()
  let loads = 0
  let stoppedBy: string | null = null

  const bench: Bench = {
    footfall,
    random,
    journalFile,
    root,
    say,
    load(requestsPerSecond = 120) {
      const client = startClient({
        urls: [footfall.url],
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

  /** Checks what is there; `whole`: once every day that has ended is folded. */
  const check = async (whole: boolean): Promise<Report> => {
    await drained(footfall)
    const store = footfall.openStore()
    try {
      // Yesterday by UTC has not ended everywhere.
      const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)
      if (whole)
        await until('the folds', async () => (await dirtyDays(store, () => yesterday)).length === 0, 150_000, 500)
      return await checkLedger(store, readJournal(journalFile))
    } finally {
      await store.close()
    }
  }

  const phase = async (name: string, injections: number, work: () => Promise<Facts>, whole = false): Promise<void> => {
    if (injections === 0) return
    const began = Date.now()
    const facts = await work()
    const report = await check(whole)
    const faults = faultsOf(report)
    phases.push({
      phase: name,
      injections,
      facts,
      seconds: Math.round((Date.now() - began) / 1_000),
      report,
    })
    say(`${faults.length === 0 ? 'ok   ' : 'WRONG'} ${name}: ${print(facts)}`)
    for (const example of report.examples) say(`      ${example}`)
    if (faults.length > 0) throw new Error(`${name}: ${faults.join(', ')}`)
  }

  try {
    await footfall.start()
    await footfall.request('/api/v1/registry/apply', { catalogue })
    await phase('disk full, space returned', options.diskFull, () => fillDisk(bench, options.diskFull))
    await phase('kill -9 of the main process', options.killsMain, () => killMain(bench, options.killsMain))
    await phase('kill -9 of embedded ClickHouse', options.killsStore, () => killStore(bench, options.killsStore))
    await phase('SIGTERM under load', options.drains, () => drain(bench, options.drains))
    await phase('log and store of different moments', options.restores, () => restoreMoments(bench, options.restores))
    await phase('backup under load, restored elsewhere', Math.min(1, options.restores), () => restoreBackup(bench))
    await phase('everything folded', 1, () => Promise.resolve({}), true)
    await footfall.end('SIGTERM')
  } catch (error) {
    stoppedBy = error instanceof Error ? error.message : String(error)
    if (footfall.isRunning()) stoppedBy += `\nThe process last said:\n${footfall.output().slice(-2_000)}`
  } finally {
    await Promise.all([...clients].map((client) => client.stop()))
    await footfall.end('SIGKILL').catch(() => undefined)
    journal.close()
  }
  if (stoppedBy === null) rmSync(root, { recursive: true, force: true })
  else say(`Kept for a closer look: ${root}`)
  return {
    seed,
    phases,
    stoppedBy,
    messages: footfall.messages(),
    clean: stoppedBy === null && phases.every(({ report }) => faultsOf(report).length === 0),
  }
}
