import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { addFacts, drained, pause, until, type Bench, type Facts } from './bench.ts'
import { checkLedger, faultsOf } from './check.ts'
import { findPort, footfallProcess, kill, type FootfallProcess } from './footfall-process.ts'
import { readJournal } from './journal.ts'

/** Copies a data directory, or a part of it, whose processes have ended; their sockets stay behind. */
export function copyData(from: string, to: string): void {
  cpSync(from, to, {
    recursive: true,
    filter: (path) => !path.endsWith('/log/lock'),
  })
}

/** Ends the process, and waits for the engine, which follows it on its own. */
async function endWhole(footfall: FootfallProcess, signal: NodeJS.Signals): Promise<void> {
  const engine = await footfall.storePid()
  await footfall.end(signal)
  await until('the engine to end', () => !kill(engine, 0), 20_000)
}

/**
 * Puts back the log, or the store, as it was some time and some crashes ago, beside the other one of now, and lets
 * `footfall restore --resume` make them agree. What only an old log is without must be in the store: it is consumed first.
 */
export async function restoreMoments(bench: Bench, times: number): Promise<Facts> {
  const { footfall, random, root } = bench
  let facts: Facts = {}
  for (let round = 0; round < times; round++) {
    const part = round % 2 === 0 ? 'store' : 'log'
    const now = join(footfall.directory, part)
    const old = join(root, `old-${part}`)
    const client = bench.load()
    await pause(300 + random() * 600)
    await endWhole(footfall, random() < 0.7 ? 'SIGKILL' : 'SIGTERM')
    copyData(now, old)
    await footfall.start()
    await pause(300 + random() * 900)
    if (part === 'log') {
      facts = addFacts(facts, await bench.finish(client))
      await drained(footfall)
    }
    await endWhole(footfall, random() < 0.7 ? 'SIGKILL' : 'SIGTERM')
    rmSync(now, { recursive: true })
    copyData(old, now)
    rmSync(old, { recursive: true })
    await footfall.command(['restore', '--resume'])
    await footfall.start()
    if (part === 'store') facts = addFacts(facts, await bench.finish(client))
    const after = bench.load()
    await pause(300)
    facts = addFacts(facts, { [`older ${part}`]: 1 }, await bench.finish(after))
    await drained(footfall)
  }
  return facts
}

/**
 * Backs the running server up while events arrive, restores that into another directory and checks it there: what was
 * acknowledged before the backup began is in it once; of what came later, each event once or not at all.
 */
export async function restoreBackup(bench: Bench): Promise<Facts> {
  const { footfall, root, journalFile } = bench
  const client = bench.load()
  await pause(1_000)
  const before = readJournal(journalFile)
  const backup = join(root, 'backup')
  await footfall.command(['backup', '--to', backup])
  await pause(300)
  const answers = await bench.finish(client)
  const journal = readJournal(journalFile)
  for (const [key, sent] of journal)
    if (sent.outcome === 'acked' && before.get(key)?.outcome !== 'acked') sent.outcome = 'unknown'

  const restored = footfallProcess({
    directory: join(root, 'restored'),
    port: await findPort(Math.random),
    storePort: await findPort(Math.random),
  })
  await restored.command(['restore', backup])
  try {
    await restored.start()
    await drained(restored)
    const store = restored.openStore()
    try {
      const report = await checkLedger(store, journal)
      const faults = faultsOf(report)
      if (faults.length > 0) throw new Error(`the restored backup: ${faults.join(', ')}\n${report.examples.join('\n')}`)
      return addFacts(
        { 'events from before it': report.known.acked, 'events from meanwhile': report.known.unknownStored },
        answers,
      )
    } finally {
      await store.close()
    }
  } finally {
    await restored.end('SIGTERM')
    rmSync(backup, { recursive: true })
    rmSync(restored.directory, { recursive: true })
  }
}
