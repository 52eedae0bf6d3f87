import { readFile, writeFile } from 'node:fs/promises'
import { join as joinPath } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { EventLog } from '../src/event-log.ts'
import { openEventLog } from '../src/open.ts'
import { verifyLog } from '../src/verify.ts'
import { all, join, recordsOf, take, textsOf } from './contract.ts'
import { makeDirectories, segmentPaths } from './directories.ts'

const hourMs = 3_600_000
let directories: Awaited<ReturnType<typeof makeDirectories>>
beforeEach(async () => {
  directories = await makeDirectories()
})
afterEach(() => directories.remove())

async function fill(log: EventLog, topic: string, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) await log.append(topic, recordsOf([String(index).padEnd(400, '.')]))
}

it('frees consumed segments after the retention, never what a group has not consumed', async () => {
  let time = Date.now()
  const log = await directories.open(directories.fresh(), { segmentBytes: 2000, now: () => time })
  await fill(log, 'events', 40)
  const fast = await join(log, 'events', 'fast')
  const slow = await join(log, 'events', 'slow')
  await fast.consumer.advance(0, 40)
  await slow.consumer.advance(0, 20)
  expect(await log.reclaim()).toBe(0)
  time += 25 * hourMs
  expect(await log.reclaim()).toBeGreaterThan(0)
  const [state] = await log.partitions('events')
  expect(state?.start).toBeGreaterThan(10)
  expect(state?.start).toBeLessThanOrEqual(20)
  expect((await slow.consumer.read(0, 20, all)).records.length).toBe(20)
  const early = await slow.consumer.read(0, 0, { ...all, maxRecords: 1 })
  expect(early.records[0]?.offset).toBe(state?.start)
})

it('keeps a topic without groups for ever, and drops one by age alone when told to', async () => {
  let time = Date.now()
  const log = await directories.open(directories.fresh(), {
    segmentBytes: 2000,
    now: () => time,
    retainMs: { refusals: hourMs },
  })
  await fill(log, 'registry', 20)
  await fill(log, 'refusals', 20)
  time += 1000 * hourMs
  await log.reclaim()
  expect(await log.partitions('registry')).toEqual([{ partition: 0, start: 0, end: 20 }])
  expect(await log.partitions('refusals')).toEqual([{ partition: 0, start: 20, end: 20 }])
  expect((await log.append('refusals', recordsOf(['x']))).positions).toEqual([{ partition: 0, offset: 20 }])
})

it('refuses at 80 % of its budget until records are consumed, then frees them before their time', async () => {
  const log = await directories.open(directories.fresh(), { segmentBytes: 2000, maxBytes: 20_000 })
  const { consumer } = await join(log, 'events', 'store')
  await expect(fill(log, 'events', 100)).rejects.toMatchObject({ code: 'LOG_FULL' })
  const { bytes } = await log.stats()
  expect(bytes).toBeGreaterThanOrEqual(16_000)
  expect(bytes).toBeLessThan(17_000)
  await log.reclaim()
  expect((await log.stats()).bytes).toBe(bytes)
  await consumer.advance(0, 20)
  await log.reclaim()
  await fill(log, 'events', 1)
})

it('removes records by rewriting: offsets stay, readers go on, a reopened log agrees', async () => {
  const directory = directories.fresh()
  const log = await directories.open(directory, { segmentBytes: 2000 })
  const expected: [number, string][] = []
  for (let index = 0; index < 30; index += 1) {
    const pair = [`gone ${index}`, `kept ${index} `.padEnd(200, '.')] as const
    await log.append('events', recordsOf(pair))
    expected.push([2 * index + 1, pair[1]])
  }
  const { consumer } = await join(log, 'events', 'store')
  const first = await consumer.read(0, 0, { ...all, maxRecords: 7 })
  const removed = await log.rewrite('events', 0, (record) => !record.value.toString().startsWith('gone'))
  expect(removed).toBe(30)
  const pairsOf = async (from: EventLog, group: string) => {
    const read = await (await join(from, 'events', group)).consumer.read(0, 0, all)
    expect(read.next).toBe(60)
    return read.records.map((record) => [record.offset, record.value.toString()])
  }
  expect((await consumer.read(0, first.next, all)).records[0]?.offset).toBe(7)
  expect(await pairsOf(log, 'a')).toEqual(expected)
  expect((await log.append('events', recordsOf(['more']))).positions).toEqual([{ partition: 0, offset: 60 }])
  await log.close()
  expect((await verifyLog(directory)).problems).toEqual([])
  for (const path of await segmentPaths(directory, 'events')) {
    expect(await readFile(path, 'utf8')).not.toContain('gone')
  }
  const again = await directories.open(directory, { segmentBytes: 2000 })
  expect(await again.rewrite('events', 0, (record) => record.offset < 60)).toBe(1)
  const rest = await (await join(again, 'events', 'b')).consumer.read(0, 0, all)
  expect(rest.records.map((record) => [record.offset, record.value.toString()])).toEqual(expected)
  expect(rest.next).toBe(61)
})

it('skips to an offset durably', async () => {
  const directory = directories.fresh()
  const log = await directories.open(directory)
  await log.append('events', recordsOf(['a']))
  await log.skipTo('events', 0, 1000)
  await log.skipTo('events', 0, 10)
  const again = await directories.open(await directories.crashCopy(directory))
  expect((await again.append('events', recordsOf(['b']))).positions).toEqual([{ partition: 0, offset: 1000 }])
  const { consumer } = await join(again, 'events', 'store')
  const read = await consumer.read(0, 0, all)
  expect([read.records.map((record) => record.offset), read.next]).toEqual([[0, 1000], 1001])
})

it('sets a position only while nothing consumes, and only inside the log', async () => {
  const log = await directories.open(directories.fresh())
  await log.append('events', recordsOf(['a', 'b']))
  await log.setPosition('events', 'store', 0, { next: 1, claimed: 2 })
  await expect(log.setPosition('events', 'store', 0, { next: 3 })).rejects.toThrow(RangeError)
  const { consumer } = await join(log, 'events', 'store')
  expect(await consumer.position(0)).toEqual({ next: 1, claimed: 2 })
  await expect(log.setPosition('events', 'store', 0, { next: 0 })).rejects.toMatchObject({ code: 'CONFLICT' })
  await expect(consumer.advance(0, 0)).rejects.toThrow(RangeError)
  await expect(consumer.claim(0, 3)).rejects.toThrow(RangeError)
})

it('copies itself while appends go on', async () => {
  const directory = directories.fresh()
  const log = await directories.open(directory, { segmentBytes: 5000 })
  await fill(log, 'events', 50)
  const { consumer } = await join(log, 'events', 'store')
  await consumer.claim(0, 30)
  const target = directories.fresh()
  await Promise.all([log.copyTo(target), fill(log, 'events', 50)])
  expect((await verifyLog(target)).problems).toEqual([])
  const copy = await directories.open(target)
  expect(copy.logId).toBe(log.logId)
  const end = (await copy.partitions('events'))[0]?.end ?? 0
  expect(end).toBeGreaterThanOrEqual(50)
  const original = await take(log.tail('events', { from: 'start' }), end)
  expect(textsOf(await take(copy.tail('events', { from: 'start' }), end))).toEqual(textsOf(original))
  expect(await (await join(copy, 'events', 'store')).consumer.position(0)).toEqual({ next: 0, claimed: 30 })
  await expect(log.copyTo(target)).rejects.toMatchObject({ code: 'CONFLICT' })
})

it('refuses another number of partitions, odd names and a copy without identity', async () => {
  const directory = directories.fresh()
  const log = await directories.open(directory, { partitions: { events: 2 } })
  await log.append('events', recordsOf(['a']))
  await expect(log.append('../up', recordsOf(['a']))).rejects.toThrow(RangeError)
  await log.close()
  await expect(directories.open(directory, { partitions: { events: 3 } })).rejects.toThrow('has 2 partitions, not 3')
  await writeFile(joinPath(directory, 'logid'), 'x')
  await expect(directories.open(directory)).rejects.toMatchObject({ code: 'LOG_CORRUPT' })
})

it('opens by URL and names a scheme that it does not know', async () => {
  const log = await openEventLog(`file:${directories.fresh()}`, { file: { minFreeBytes: 0 } })
  await log.append('events', recordsOf(['a']))
  await log.close()
  await expect(openEventLog('carrier-pigeon://user:secret@loft')).rejects.toThrow('"carrier:"')
})
