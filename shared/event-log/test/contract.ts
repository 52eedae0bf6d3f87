import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { EventLog, LogConsumer, LogRecord, StoredRecord, TailRecord } from '../src/event-log.ts'

/** Where a log under test lives. Topic `one` has 1 partition, `many` has 3. */
export interface LogWorld {
  /** Opens the log of this world: the same records each time. */
  open(): Promise<EventLog>
  /** Leaves an open log without closing it, as `kill -9` would; the next `open` finds what was durable. */
  crash(log: EventLog): Promise<void>
  /** Closes what is open and removes everything. */
  remove(): Promise<void>
}

export const all = { maxRecords: 100_000, maxBytes: 1e9, waitMs: 0 }
const patient = { ...all, waitMs: 60_000 }

export function recordsOf(values: readonly string[]): LogRecord[] {
  return values.map((value) => ({ key: value, value }))
}

export function textsOf(records: readonly StoredRecord[]): string[] {
  return records.map((record) => record.value.toString())
}

export interface Joined {
  consumer: LogConsumer
  revoked: number[]
}

/** Joins a group and waits until every partition is assigned. */
export async function join(log: EventLog, topic: string, group: string): Promise<Joined> {
  const expected = (await log.partitions(topic)).length
  const assigned = new Set<number>()
  const revoked: number[] = []
  let complete: () => void
  const whole = new Promise<void>((resolve) => (complete = resolve))
  const consumer = await log.consume(topic, group, {
    onAssigned: (partition) => {
      if (assigned.add(partition).size === expected) complete()
    },
    onRevoked: (partition) => void revoked.push(partition),
  })
  await whole
  return { consumer, revoked }
}

/** The first `count` records of a tail. */
export async function take(tail: AsyncIterable<TailRecord>, count: number): Promise<TailRecord[]> {
  const taken: TailRecord[] = []
  for await (const record of tail) if (taken.push(record) === count) break
  return taken
}

/**
 * What every adapter of the EventLog port owes.
 * @param except titles of cases that an adapter meets in another form, each with the reason; the port lists them too.
 */
export function eventLogContract(
  name: string,
  makeWorld: () => Promise<LogWorld>,
  except: Readonly<Record<string, string>> = {},
): void {
  const it = (title: string, body: () => Promise<void>): void => {
    const reason = except[title]
    if (reason === undefined) test(title, body)
    else test.skip(`${title}: ${reason}`, body)
  }
  describe(`${name} keeps the contract of the event log`, () => {
    let world: LogWorld
    let log: EventLog
    beforeEach(async () => {
      world = await makeWorld()
      log = await world.open()
    })
    afterEach(() => world.remove())

    async function crash(): Promise<void> {
      await world.crash(log)
      log = await world.open()
    }
    async function reopen(): Promise<void> {
      await log.close()
      log = await world.open()
    }
    async function readAll(topic: string, partition = 0): Promise<string[]> {
      const { consumer } = await join(log, topic, `reader-${Math.random().toString(36).slice(2)}`)
      const texts = await readRest(consumer, topic, partition, 0)
      await consumer.close()
      return texts
    }
    async function readRest(consumer: LogConsumer, topic: string, partition: number, from: number): Promise<string[]> {
      const { end } = (await log.partitions(topic))[partition]!
      const texts: string[] = []
      for (let next = from; next < end;) {
        const read = await consumer.read(partition, next, patient)
        texts.push(...textsOf(read.records))
        next = read.next
      }
      return texts
    }

    it('gives records back in the order in which one caller appended them', async () => {
      await log.append('one', recordsOf(['a', 'b']))
      await log.append('one', recordsOf(['c']))
      expect(await readAll('one')).toEqual(['a', 'b', 'c'])
    })

    it('tells where each record went, in the order given', async () => {
      const { positions } = await log.append('many', recordsOf(['a', 'b', 'c', 'd', 'e', 'f', 'g']))
      const { consumer } = await join(log, 'many', 'g')
      for (const [index, { partition, offset }] of positions.entries()) {
        const read = await consumer.read(partition, offset, { ...patient, maxRecords: 1 })
        expect(textsOf(read.records)).toEqual(['abcdefg'[index]])
        expect(read.records[0]?.offset).toBe(offset)
      }
      expect(new Set(positions.map(({ partition }) => partition)).size).toBeGreaterThan(1)
    })

    it('sends equal keys to one partition', async () => {
      const keys = Array.from({ length: 30 }, (_, index) => `key-${index}`)
      const first = await log.append(
        'many',
        keys.map((key) => ({ key, value: '1' })),
      )
      await reopen()
      const second = await log.append(
        'many',
        keys.map((key) => ({ key, value: '2' })),
      )
      expect(second.positions.map(({ partition }) => partition)).toEqual(
        first.positions.map(({ partition }) => partition),
      )
    })

    it('keeps its identity and its records over close and reopen', async () => {
      const { logId } = log
      await log.append('one', recordsOf(['a']))
      await reopen()
      expect(log.logId).toBe(logId)
      await log.append('one', recordsOf(['b']))
      expect(await readAll('one')).toEqual(['a', 'b'])
    })

    it('keeps what it acknowledged, and every step of a group, over a crash between any two calls', async () => {
      await crash()
      await log.append('one', recordsOf(['a', 'b', 'c']))
      await crash()
      let { consumer } = await join(log, 'one', 'g')
      expect(await consumer.position(0)).toEqual({ next: 0 })
      const end = (await consumer.read(0, 0, { ...patient, maxRecords: 2 })).next
      await crash()
      consumer = (await join(log, 'one', 'g')).consumer
      await consumer.claim(0, end)
      await crash()
      consumer = (await join(log, 'one', 'g')).consumer
      expect(await consumer.position(0)).toEqual({ next: 0, claimed: end })
      await consumer.advance(0, end)
      await crash()
      consumer = (await join(log, 'one', 'g')).consumer
      expect(await consumer.position(0)).toEqual({ next: end })
      expect(textsOf((await consumer.read(0, end, patient)).records)).toEqual(['c'])
      await log.append('one', recordsOf(['d']))
      await crash()
      expect(await readAll('one')).toEqual(['a', 'b', 'c', 'd'])
    })

    it('keeps the positions of groups apart', async () => {
      await log.append('one', recordsOf(['a', 'b']))
      const first = await join(log, 'one', 'first')
      const second = await join(log, 'one', 'second')
      await first.consumer.advance(0, 2)
      expect(await second.consumer.position(0)).toEqual({ next: 0 })
      expect(await first.consumer.position(0)).toEqual({ next: 2 })
    })

    it('fences a consumer whose group another one joined', async () => {
      await log.append('one', recordsOf(['a', 'b']))
      const zombie = await join(log, 'one', 'g')
      await zombie.consumer.claim(0, 1)
      const waiting = zombie.consumer.read(0, 2, patient)
      const heir = await join(log, 'one', 'g')
      expect((await waiting).records).toEqual([])
      expect(zombie.revoked).toEqual([0])
      await expect(zombie.consumer.claim(0, 2)).rejects.toMatchObject({ code: 'FENCED' })
      await expect(zombie.consumer.advance(0, 1)).rejects.toMatchObject({ code: 'FENCED' })
      expect(await heir.consumer.position(0)).toEqual({ next: 0, claimed: 1 })
      await heir.consumer.advance(0, 2)
      await zombie.consumer.close()
      expect(await heir.consumer.position(0)).toEqual({ next: 2 })
    })

    it('wakes a waiting read when records become durable', async () => {
      const { consumer } = await join(log, 'one', 'g')
      const waiting = consumer.read(0, 0, patient)
      await log.append('one', recordsOf(['a']))
      expect(textsOf((await waiting).records)).toEqual(['a'])
    })

    it('resolves open reads empty when the consumer closes, which may happen twice', async () => {
      const { consumer } = await join(log, 'one', 'g')
      const waiting = consumer.read(0, 0, patient)
      await consumer.close()
      await consumer.close()
      expect((await waiting).records).toEqual([])
    })

    it('reads nothing from an empty topic and stays at its offset', async () => {
      const { consumer } = await join(log, 'one', 'g')
      expect(await consumer.read(0, 0, { ...all, waitMs: 1 })).toEqual({ records: [], next: 0 })
      expect(await log.partitions('one')).toEqual([{ partition: 0, start: 0, end: 0 }])
    })

    it('stops at the limits of a read, and always gives at least one record', async () => {
      await log.append('one', recordsOf(['aaaa', 'bbbb', 'cccc', 'dddd']))
      const { consumer } = await join(log, 'one', 'g')
      const two = await consumer.read(0, 0, { ...patient, maxRecords: 2 })
      expect([textsOf(two.records), two.next]).toEqual([['aaaa', 'bbbb'], 2])
      const one = await consumer.read(0, two.next, { ...patient, maxBytes: 1 })
      expect([textsOf(one.records), one.next]).toEqual([['cccc'], 3])
      expect(textsOf((await consumer.read(0, one.next, { ...patient, maxBytes: 4 })).records)).toEqual(['dddd'])
    })

    it('carries 10,000 records in one append and refuses 10,001 and none', async () => {
      const values = Array.from({ length: 10_000 }, (_, index) => String(index))
      const { positions } = await log.append('many', recordsOf(values))
      expect(positions.length).toBe(10_000)
      const read = (await Promise.all([0, 1, 2].map((partition) => readAll('many', partition)))).flat()
      expect(read.sort()).toEqual(values.sort())
      await expect(log.append('many', recordsOf([...values, 'one more']))).rejects.toThrow(RangeError)
      await expect(log.append('many', [])).rejects.toThrow(RangeError)
    })

    it('carries a record of 512 KiB in bytes, five of them at once, and refuses one byte more', async () => {
      const big = 'é'.repeat(256 * 1024)
      await log.append('one', recordsOf(Array.from({ length: 5 }, () => big)))
      expect(await readAll('one')).toEqual(Array.from({ length: 5 }, () => big))
      await expect(log.append('one', recordsOf([`${big}x`]))).rejects.toThrow(RangeError)
    })

    it('gives every text back as it was', async () => {
      const values = ['', '\0', 'ẞ', '日本語', '👩‍👩‍👧', '\u202e', '{"a":"\\u0000"}', 'FFL', '\r\n']
      await log.append('one', recordsOf(values))
      expect(await readAll('one')).toEqual(values)
    })

    it('keeps each caller’s records in order among many callers', async () => {
      const callers = Array.from({ length: 20 }, (_, index) => index)
      await Promise.all(
        callers.map(async (caller) => {
          for (let step = 0; step < 10; step += 1) await log.append('one', recordsOf([`${caller}:${step}`]))
        }),
      )
      const read = await readAll('one')
      expect(read.length).toBe(200)
      for (const caller of callers) {
        const own = read.filter((value) => value.startsWith(`${caller}:`))
        expect(own).toEqual(Array.from({ length: 10 }, (_, step) => `${caller}:${step}`))
      }
    })

    it('tails from the start and from the end, several at a time', async () => {
      await log.append('many', recordsOf(['a', 'b', 'c', 'd']))
      const fromStart = take(log.tail('many', { from: 'start' }), 6)
      const fromEnd = log.tail('many')
      await log.partitions('many')
      await log.append('many', recordsOf(['e', 'f']))
      expect(textsOf(await fromStart).sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
      expect(textsOf(await take(fromEnd, 2)).sort()).toEqual(['e', 'f'])
    })

    it('tails from an offset of each partition up to another, and ends there', async () => {
      const { positions } = await log.append('many', recordsOf(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']))
      const ends = new Map((await log.partitions('many')).map(({ partition, end }) => [partition, end]))
      const from = new Map([...ends].map(([partition, end]) => [partition, Math.min(1, end)]))
      await log.append('many', recordsOf(['k', 'l', 'm', 'n', 'o']))
      const expected = positions.filter(({ offset }) => offset >= 1)
      const seen: { partition: number; offset: number }[] = []
      for await (const { partition, offset } of log.tail('many', { from, until: ends }))
        seen.push({ partition, offset })
      const sorted = (places: readonly { partition: number; offset: number }[]) =>
        places.map(({ partition, offset }) => `${partition}:${offset}`).sort()
      expect(sorted(seen)).toEqual(sorted(expected))
      const only = new Map([[0, ends.get(0)!]])
      for await (const record of log.tail('many', { from: 'start', until: only })) expect(record.partition).toBe(0)
      for await (const record of log.tail('many', { from: ends, until: ends })) expect(record).toBe('none')
    })

    it('ends a tail when it is aborted and when the log closes', async () => {
      const stop = new AbortController()
      const count = async (tail: AsyncIterable<TailRecord>) => {
        let seen = 0
        for await (const _record of tail) seen += 1
        return seen
      }
      const aborted = count(log.tail('one', { from: 'start', signal: stop.signal }))
      const closed = count(log.tail('one', { from: 'start' }))
      stop.abort()
      expect(await aborted).toBe(0)
      await log.close()
      await log.close()
      expect(await closed).toBe(0)
      await expect(log.append('one', recordsOf(['a']))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
    })
  })
}
