import { cp, open, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { isPipelineError } from '@footfall/contracts/errors'
import type { EventLog } from '../src/event-log.ts'
import { verifyLog } from '../src/verify.ts'
import { all, join as joinGroup, recordsOf, take, textsOf } from './contract.ts'
import { makeDirectories, seeded, segmentPaths } from './directories.ts'

const pageBytes = 4096
let directories: Awaited<ReturnType<typeof makeDirectories>>
beforeEach(async () => {
  directories = await makeDirectories()
})
afterEach(() => directories.remove())

async function readTopic(log: EventLog): Promise<string[]> {
  const end = (await log.partitions('events'))[0]?.end ?? 0
  const texts: string[] = []
  if (end === 0) return texts
  for await (const record of log.tail('events', { from: 'start' })) {
    texts.push(record.value.toString())
    if (record.offset === end - 1) break
  }
  return texts
}

function values(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${from + index}:`.padEnd(200 + ((from + index) % 700), 'x'))
}

/** Changes what follows the synced bytes as a disk may leave it: each page on its own. */
function tear(whole: Buffer, synced: number, random: () => number): Buffer {
  const torn = Buffer.from(whole)
  const starts: number[] = []
  for (let at = synced - (synced % pageBytes); at < torn.length; at += pageBytes) starts.push(Math.max(at, synced))
  for (const start of starts) {
    const page = torn.subarray(start, Math.min(start - (start % pageBytes) + pageBytes, torn.length))
    const other = starts[Math.floor(random() * starts.length)] ?? start
    const fate = Math.floor(random() * 5)
    if (fate === 1) page.fill(0)
    if (fate === 2) page.forEach((_, index) => (page[index] = Math.floor(random() * 256)))
    if (fate === 3) whole.copy(page, 0, other, Math.min(other + page.length, whole.length))
    if (fate === 4) page.fill(0, Math.floor(random() * page.length))
  }
  return random() < 0.4 ? torn.subarray(0, synced + Math.floor(random() * (torn.length - synced + 1))) : torn
}

it('loses no acknowledged record and accepts no garbage, however the unsynced tail is torn', async () => {
  const seed = Number(process.env.SEED ?? 20_261_124)
  console.log(`torn tails: SEED=${seed}`)
  const random = seeded(seed)
  for (let round = 0; round < 10; round += 1) {
    const directory = directories.fresh()
    const log = await directories.open(directory)
    const acked = values(0, 5 + Math.floor(random() * 20))
    for (const value of acked) await log.append('events', recordsOf([value]))
    const path = (await segmentPaths(directory, 'events'))[0] as string
    const synced = (await stat(path)).size
    // One group of several frames: what is under way when the power goes.
    const unsynced = values(acked.length, 30)
    await Promise.all(unsynced.map((value) => log.append('events', recordsOf([value]))))
    const whole = await readFile(path)
    for (let variant = 0; variant < 25; variant += 1) {
      const copy = await directories.crashCopy(directory)
      await writeFile((await segmentPaths(copy, 'events'))[0] as string, tear(whole, synced, random))
      const again = await directories.open(copy)
      const read = await readTopic(again)
      expect(read).toEqual([...acked, ...unsynced].slice(0, read.length))
      expect(read.length).toBeGreaterThanOrEqual(acked.length)
      await again.append('events', recordsOf(['after']))
      expect(await readTopic(again)).toEqual([...read, 'after'])
      await again.close()
    }
  }
})

it('detects every flipped bit of synced records and positions', async () => {
  const seed = Number(process.env.SEED ?? 7_041_776)
  console.log(`bit flips: SEED=${seed}`)
  const random = seeded(seed)
  const directory = directories.fresh()
  const log = await directories.open(directory, { segmentBytes: 8 * 1024 })
  const written = values(0, 60)
  for (const value of written) await log.append('events', recordsOf([value]))
  const { consumer } = await joinGroup(log, 'events', 'store')
  await consumer.advance(0, 20)
  await consumer.claim(0, 40)
  await log.close()
  let detected = 0
  for (let flip = 0; flip < 200; flip += 1) {
    const copy = await directories.crashCopy(directory)
    const partition = join(copy, 'events', '0')
    const files = [...(await segmentPaths(copy, 'events')), join(partition, 'consumers', 'store.json')]
    const path = files[Math.floor(random() * files.length)] as string
    const bytes = await readFile(path)
    const at = Math.floor(random() * bytes.length)
    bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random() * 8))
    await writeFile(path, bytes)
    const { problems } = await verifyLog(copy)
    try {
      const again = await directories.open(copy)
      const read = await readTopic(again)
      const joined = await joinGroup(again, 'events', 'store')
      // Only a bit that says nothing may go unnoticed: in a mark, or in white space.
      expect([read, await joined.consumer.position(0), problems]).toEqual([written, { next: 20, claimed: 40 }, []])
      await again.close()
    } catch (error) {
      if (!isPipelineError(error, 'LOG_CORRUPT')) throw error
      detected += 1
      expect(error.message).toContain(path)
      expect(problems.join()).toContain(path)
    }
    await rm(copy, { recursive: true })
  }
  expect(detected).toBeGreaterThan(190)
})

it('refuses a damaged frame that a later group proves to have been synced, after a crash too', async () => {
  const directory = directories.fresh()
  const log = await directories.open(directory)
  for (const value of ['a', 'b', 'c']) await log.append('events', recordsOf([value]))
  const copy = await directories.crashCopy(directory)
  const path = (await segmentPaths(copy, 'events'))[0] as string
  const file = await open(path, 'r+')
  await file.write(Buffer.from('z'), 0, 1, 32)
  await file.close()
  await expect(directories.open(copy)).rejects.toMatchObject({ code: 'LOG_CORRUPT' })
  await expect(directories.open(copy)).rejects.toThrow(`${path} at byte 0`)
})

it('refuses to open when records that a group claimed are missing', async () => {
  const directory = directories.fresh()
  const log = await directories.open(directory)
  for (const value of ['a', 'b']) await log.append('events', recordsOf([value]))
  const { consumer } = await joinGroup(log, 'events', 'store')
  await consumer.claim(0, 2)
  const copy = await directories.crashCopy(directory)
  const path = (await segmentPaths(copy, 'events'))[0] as string
  await truncate(path, (await stat(path)).size - 1)
  await expect(directories.open(copy)).rejects.toMatchObject({ code: 'LOG_CORRUPT' })
  expect((await verifyLog(copy)).problems.join()).toContain('group store has records up to 2')
})

it('cuts a torn tail and tells how much', async () => {
  const directory = directories.fresh()
  const log = await directories.open(directory)
  await log.append('events', recordsOf(['a']))
  const copy = await directories.crashCopy(directory)
  const file = (await segmentPaths(copy, 'events'))[0] as string
  await writeFile(file, Buffer.concat([await readFile(file), Buffer.alloc(100)]))
  const again = await directories.open(copy)
  expect(again.cutTails).toEqual([{ file, cutBytes: 100 }])
})

it('opens what a crash left of a segment, a topic or a position being made', async () => {
  const directory = directories.fresh()
  const log = await directories.open(directory)
  await log.append('events', recordsOf(['a']))
  const copy = await directories.crashCopy(directory)
  const partition = join(copy, 'events', '0')
  await writeFile(join(partition, '00000000000000000001.log'), '')
  await writeFile(join(partition, '00000000000000000000.log.tmp'), 'half')
  await writeFile(join(partition, 'consumers', 'store.json.tmp'), '{')
  await cp(join(copy, 'events'), join(copy, '.new-other'), { recursive: true })
  const again = await directories.open(copy)
  await again.append('events', recordsOf(['b']))
  await again.append('other', recordsOf(['c']))
  expect(await readTopic(again)).toEqual(['a', 'b'])
  expect((await readdir(partition)).filter((name) => name.endsWith('.tmp'))).toEqual([])
  expect(textsOf(await take(again.tail('other', { from: 'start' }), 1))).toEqual(['c'])
})

it('reads from any offset of many segments, reopened', async () => {
  const directory = directories.fresh()
  const log = await directories.open(directory, { segmentBytes: 200 * 1024 })
  const written = values(0, 2000)
  for (let at = 0; at < written.length; at += 20) await log.append('events', recordsOf(written.slice(at, at + 20)))
  await log.close()
  const again = await directories.open(directory, { segmentBytes: 200 * 1024 })
  expect((await again.stats()).segments).toBeGreaterThan(4)
  const { consumer } = await joinGroup(again, 'events', 'store')
  for (let from = 0; from < written.length; from += 37) {
    const read = await consumer.read(0, from, { ...all, maxRecords: 3 })
    expect(textsOf(read.records)).toEqual(written.slice(from, from + 3))
  }
})
