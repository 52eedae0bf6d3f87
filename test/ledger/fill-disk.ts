import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { addFacts, drained, pause, until, type Bench, type Facts } from './bench.ts'
import type { Client } from './client.ts'
import { kill } from './footfall-process.ts'
import { copyData } from './restore.ts'

/** More than twice what the log wants to keep free. */
const diskMegabytes = 640
const mebibyte = Buffer.alloc(1024 * 1024)

const refusals = (client: Client): number => client.counts.answers['503'] ?? 0
const acceptances = (client: Client): number => client.counts.answers['202'] ?? 0

/** Waits until senders are asked to wait, frees what `free` frees, and waits until events are taken again. */
async function refusedThenTaken(client: Client, holdMs: number, free: () => void): Promise<void> {
  const refusedBefore = refusals(client)
  await until('senders to be asked to wait', () => refusals(client) > refusedBefore + 20)
  await pause(holdMs)
  free()
  const takenBefore = acceptances(client)
  await until('events to be taken again', () => acceptances(client) > takenBefore + 100)
}

/** Writes until the disk takes no more byte. */
function fill(file: string): void {
  const fd = openSync(file, 'w')
  try {
    for (let chunk = mebibyte; chunk.length > 0;) {
      try {
        writeSync(fd, chunk)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        chunk = chunk.subarray(0, Math.floor(chunk.length / 2))
      }
    }
  } finally {
    closeSync(fd)
  }
}

/** Puts a small disk in memory under a directory; false where only an administrator may. */
function mountSmallDisk(directory: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskMegabytes}m`, 'tmpfs', directory], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** The disk of the whole data directory (log, store, jobs) has not one byte left for a while, again and again. */
async function fillWholeDisk(bench: Bench, times: number): Promise<Facts> {
  const { footfall, random, root, say } = bench
  const { directory } = footfall
  const aside = join(root, 'data-aside')
  await footfall.end('SIGTERM')
  renameSync(directory, aside)
  mkdirSync(directory, { mode: 0o700 })
  if (!mountSmallDisk(directory)) {
    rmSync(directory, { recursive: true })
    renameSync(aside, directory)
    await footfall.start()
    say('      no disk may be mounted here: only the budget of the log is filled')
    return {}
  }
  try {
    copyData(aside, directory)
    await footfall.start()
    // A store whose tables are only being made when the disk is full is lost: docs/operators.md says what to do then.
    await drained(footfall)
    const client = bench.load()
    for (let round = 0; round < times; round++) {
      await pause(300 + random() * 600)
      const filler = join(directory, 'filler')
      fill(filler)
      await refusedThenTaken(client, random() * 2_000, () => rmSync(filler))
    }
    const answers = await bench.finish(client)
    await footfall.end('SIGTERM')
    rmSync(aside, { recursive: true })
    copyData(directory, aside)
    return addFacts({ 'whole disk': times }, answers)
  } finally {
    // Whatever went wrong before is what is reported.
    await footfall.end('SIGKILL').catch(() => undefined)
    await until('the disk to be let go', () => {
      execFileSync('umount', [directory], { stdio: 'ignore' })
      return true
    })
    rmSync(directory, { recursive: true })
    renameSync(aside, directory)
    await footfall.start()
  }
}

/** The log reaches its budget while the engine stands still; room comes back when it goes on. */
async function fillBudget(bench: Bench, times: number): Promise<Facts> {
  const { footfall, random } = bench
  await footfall.end('SIGTERM')
  await footfall.start({ LOG_MAX_BYTES: '1500000' })
  const client = bench.load(200)
  for (let round = 0; round < times; round++) {
    await pause(300 + random() * 600)
    let engine: number | null = null
    await until('embedded ClickHouse to run', async () => (engine = await footfall.storePid()) !== null, 20_000)
    kill(engine, 'SIGSTOP')
    await refusedThenTaken(client, random() * 500, () => kill(engine, 'SIGCONT'))
  }
  const answers = await bench.finish(client)
  await footfall.end('SIGTERM')
  await footfall.start()
  return addFacts({ 'budget of the log': times }, answers)
}

/** Takes the room away and gives it back under load: of the whole disk, and of the log by its budget. */
export async function fillDisk(bench: Bench, times: number): Promise<Facts> {
  return addFacts(await fillWholeDisk(bench, times), await fillBudget(bench, times))
}
