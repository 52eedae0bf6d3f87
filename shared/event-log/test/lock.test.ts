import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { lockDirectory } from '../src/lock.ts'
import { take } from './contract.ts'
import { makeDirectories } from './directories.ts'

let directories: Awaited<ReturnType<typeof makeDirectories>>
const children: ChildProcess[] = []
beforeEach(async () => {
  directories = await makeDirectories()
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await directories.remove()
})

async function buildChild(): Promise<string> {
  const outfile = join(directories.root, 'child.mjs')
  const entry = join(import.meta.dirname, 'append-until-killed.ts')
  await build({ entryPoints: [entry], outfile, bundle: true, platform: 'node', format: 'esm', logLevel: 'error' })
  return outfile
}

/** Starts the appending process; `lines` are what it prints, `until` waits for that many. */
function startChild(script: string, directory: string, label: string) {
  const child = spawn(process.execPath, [script, directory, label], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const lines: string[] = []
  const reader = createInterface({ input: child.stdout })
  reader.on('line', (line) => lines.push(line))
  const ended = Promise.all([once(child, 'exit'), once(reader, 'close')])
  const until = async (count: number) => {
    while (lines.length < count) await once(reader, 'line')
  }
  return { child, lines, ended, until }
}

it('refuses a second process and names the owner; after kill -9 the next opens and every acknowledged record is there', async () => {
  const script = await buildChild()
  const directory = directories.fresh()
  const acked: string[] = []
  for (let round = 0; round < 5; round += 1) {
    const { child, lines, ended, until } = startChild(script, directory, `round${round}`)
    await until(100 + round * 137)
    await expect(directories.open(directory)).rejects.toMatchObject({ code: 'LOG_LOCKED' })
    await expect(directories.open(directory)).rejects.toThrow(`Process ${child.pid} owns`)
    child.kill('SIGKILL')
    await ended
    acked.push(...lines.slice(1))
  }
  const log = await directories.open(directory)
  const end = (await log.partitions('events'))[0]?.end ?? 0
  const found = await take(log.tail('events', { from: 'start' }), end)
  const present = new Set(found.map((record) => record.value.toString().replace(/\.+$/, '')))
  expect(acked.length).toBeGreaterThan(500)
  expect(acked.filter((value) => !present.has(value))).toEqual([])
  expect(present.size).toBe(found.length)
})

it('lets exactly one of many that start at once go on', async () => {
  for (let round = 0; round < 20; round += 1) {
    const directory = directories.fresh()
    await mkdir(directory)
    const started = await Promise.allSettled(Array.from({ length: 5 }, () => lockDirectory(directory)))
    const owners = started.filter((one) => one.status === 'fulfilled')
    expect(owners.length).toBe(1)
    for (const one of started) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'LOG_LOCKED' })
    await owners[0]?.value.release()
    expect(await readdir(join(directory, 'lock'))).toEqual([])
  }
})

it('locks a directory whose path is longer than a socket address', async () => {
  const directory = join(directories.root, 'long'.repeat(30), 'path'.repeat(30))
  await mkdir(directory, { recursive: true })
  const lock = await lockDirectory(directory)
  await expect(lockDirectory(directory)).rejects.toThrow(`Process ${process.pid} owns ${directory}`)
  await lock.release()
  await (await lockDirectory(directory)).release()
})
