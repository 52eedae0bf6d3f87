import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PipelineError } from '@footfall/contracts/errors'
import { topics, type EventRecord } from '@footfall/contracts/event'
import type { EventLog } from '@footfall/event-log'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { queryLedger } from '@footfall/store/metrics'
import type { QueryParameters } from '@footfall/store/open'
import { createLogger } from '@footfall/telemetry/logger'
import { createMetrics } from '@footfall/telemetry/metrics'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { insertRecords, makeRecord, startTestEngine, type TestEngine } from '../../../shared/store/test/engine.ts'
import { startConsumer, storeGroup, type ConsumerOptions, type RunningConsumer } from '../src/consume.ts'

const points = ['planned', 'claimed', 'inserted', 'recorded', 'advanced'] as const
const at = Date.now()

describe('the consumer, from the real log into the real store', () => {
  let test_: TestEngine
  let directory: string
  let log: Awaited<ReturnType<typeof openEmbeddedEventLog>>
  const running: RunningConsumer[] = []

  beforeAll(async () => {
    test_ = await startTestEngine()
  })
  afterAll(() => test_.close())
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'footfall-consumer-'))
    log = await openEmbeddedEventLog({ directory, minFreeBytes: 0 })
    for (const table of ['events', 'failed_events', 'event_ids', 'forgotten_ids', 'ledger', 'day_marks'])
      await test_.store.command(`TRUNCATE TABLE ${table}`)
  })
  afterEach(async () => {
    for (const consumer of running.splice(0)) await consumer.close().catch(() => undefined)
    await log.close()
    await rm(directory, { recursive: true, force: true })
  })

  const start = async (more: Partial<ConsumerOptions> = {}): Promise<RunningConsumer> => {
    const consumer = await startConsumer({
      log,
      store: test_.store,
      logger: createLogger('silent'),
      metrics: createMetrics(),
      limits: { maxRecords: 1_000, maxBytes: 8_000_000, flushIntervalMs: 1 },
      ...more,
    })
    consumer.done.catch(() => undefined)
    running.push(consumer)
    return consumer
  }
  const keyed = (records: readonly EventRecord[]) =>
    records.map((record) => ({ key: record.deployment + record.id, value: JSON.stringify(record) }))
  const append = (records: readonly EventRecord[]) => log.append(topics.events, keyed(records))
  const openSeveral = (partitions: number) =>
    openEmbeddedEventLog({
      directory: join(directory, 'several'),
      minFreeBytes: 0,
      partitions: { [topics.events]: partitions },
    })
  /** Until so many records are consumed, of all partitions. */
  const consumedTo = async (consumer: RunningConsumer, end: number): Promise<void> => {
    while ([...consumer.positions().values()].reduce((sum, next) => sum + next, 0) < end) {
      await Promise.race([consumer.done, new Promise((resolve) => setImmediate(resolve))])
    }
  }
  const count = async (table: string): Promise<number> =>
    Number((await test_.store.query<{ n: string }>(`SELECT count() AS n FROM ${table}`))[0]!.n)

  test('stores every event once, sets late ones aside and leaves out copies, in every later batch too', async () => {
    const first = Array.from({ length: 50 }, () => makeRecord({ at }))
    await append([...first, makeRecord({ at, late: true }), first[0]!])
    const consumer = await start()
    await consumedTo(consumer, 52)
    await append(first)
    await consumedTo(consumer, 102)
    expect([await count('events'), await count('failed_events')]).toEqual([50, 1])
    expect(await queryLedger(test_.store)).toMatchObject({
      read: 102,
      stored: 50,
      failed: 1,
      deduplicated: 51,
      difference: 0,
    })
  })

  test.each(points)('resolves what it left open when it ends at "%s", and stores nothing twice', async (point) => {
    await append(Array.from({ length: 30 }, () => makeRecord({ at })))
    const crash = new Error('the process ends here')
    const broken = await start({
      onPoint: (reached) => {
        if (reached === point) throw crash
      },
    })
    await expect(broken.done).rejects.toThrow(crash)
    // The same engine and files, as after a kill: nothing was closed in order.
    await append(Array.from({ length: 5 }, () => makeRecord({ at })))
    const consumer = await start()
    await consumedTo(consumer, 35)
    expect(await count('events')).toBe(35)
    expect(await queryLedger(test_.store)).toMatchObject({ read: 35, stored: 35, difference: 0 })
  })

  test.each(points)(
    'of partitions that flush together one ends at "%s" while the others go on: each event is stored once',
    async (point) => {
      const several = await openSeveral(4)
      try {
        const records = Array.from({ length: 60 }, () => makeRecord({ at }))
        await several.append(topics.events, keyed(records))
        await several.append(topics.events, keyed(records.slice(0, 20)))
        const crash = new Error('the process ends here')
        const broken = await start({
          log: several,
          onPoint: (reached, { partition }) => {
            if (reached === point && partition === 2) throw crash
          },
        })
        await expect(broken.done).rejects.toThrow(crash)
        // The former consumer's other partitions are in the middle of what they do.
        const consumer = await start({ log: several })
        await several.append(topics.events, keyed(records.slice(10, 30)))
        await consumedTo(consumer, 100)
        expect(await count('events')).toBe(60)
        expect(await queryLedger(test_.store)).toMatchObject({
          read: 100,
          stored: 60,
          deduplicated: 40,
          difference: 0,
        })
        await consumer.close()
      } finally {
        await several.close()
      }
    },
  )

  test.each([
    ['recorded', 'goes on behind it'],
    ['inserted', 'stops, since nobody knows what it was'],
  ] as const)('an open claim that is erased from the log after "%s": %s', async (point, _outcome) => {
    await append(Array.from({ length: 30 }, () => makeRecord({ at })))
    const broken = await start({
      onPoint: (reached) => {
        if (reached === point) throw new Error('the process ends here')
      },
    })
    await expect(broken.done).rejects.toThrow('ends here')
    const [claimed] = await log.partitions(topics.events)
    const forgetful: EventLog = {
      ...log,
      partitions: async (topic) => (await log.partitions(topic)).map((state) => ({ ...state, start: claimed!.end })),
    }
    await append(Array.from({ length: 5 }, () => makeRecord({ at })))
    const consumer = await start({ log: forgetful })
    if (point === 'inserted') return expect(consumer.done).rejects.toMatchObject({ code: 'POSITION_DISAGREES' })
    await consumedTo(consumer, 35)
    expect(await count('events')).toBe(35)
    expect(await queryLedger(test_.store)).toMatchObject({ read: 35, stored: 35, difference: 0 })
  })

  /** As the retention job does it. */
  const forgetBefore = async (day: string): Promise<void> => {
    await test_.store.insert('forgotten_ids', ['before'], [[day]], null)
    await test_.store.command('ALTER TABLE event_ids DELETE WHERE received_at < {day:Date}', { day })
  }
  const dayBefore = (days: number): string => new Date(at - days * 86_400_000).toISOString().slice(0, 10)

  test.each([...points, 'nothing'])(
    'leaves out first copies that waited in a spool until their ids were forgotten, when it ends at "%s"',
    async (point) => {
      const sentAgain = Array.from({ length: 3 }, (_, index) =>
        makeRecord({ at: at - (10 - 2 * index) * 86_400_000, content: 7 }),
      )
      const first = await start()
      await append(sentAgain)
      await consumedTo(first, 3)
      await first.close()
      await forgetBefore(dayBefore(3))
      // A spool of several days, in more than one batch: what the first puts beside the ids that are left hides nothing.
      const spooled = sentAgain.flatMap((record) => [
        { ...record, received_at: record.received_at - 3_600_000 },
        makeRecord({ at: record.at }),
      ])
      const limits = { maxRecords: 2, maxBytes: 8_000_000, flushIntervalMs: 1 }
      await append(spooled)
      const broken = await start({
        limits,
        onPoint: (reached) => {
          if (reached === point) throw new Error('the process ends here')
        },
      })
      if (point === 'nothing') await consumedTo(broken, 9)
      else await expect(broken.done).rejects.toThrow('ends here')
      const consumer = await start({ limits })
      await consumedTo(consumer, 9)
      await test_.store.command('OPTIMIZE TABLE ledger FINAL')
      expect(await count('events')).toBe(6)
      expect(await queryLedger(test_.store)).toMatchObject({ read: 9, stored: 6, deduplicated: 3, difference: 0 })
      expect(await test_.store.query('SELECT sum(conflicting) AS n FROM ledger')).toEqual([{ n: '0' }])
    },
  )

  test('looks among the events only for what is older than a day, and only where ids are forgotten', async () => {
    const asked: string[] = []
    const store = {
      ...test_.store,
      query: <Row>(sql: string, parameters?: QueryParameters) => {
        asked.push(/FROM (forgotten_ids|events\nWHERE deployment)/.exec(sql)?.[1] ?? '')
        return test_.store.query<Row>(sql, parameters)
      },
    }
    const asksFor = async (receivedAt: number): Promise<string[]> => {
      const { end } = (await log.partitions(topics.events))[0]!
      asked.length = 0
      await append([makeRecord({ at: receivedAt })])
      const consumer = await start({ store })
      await consumedTo(consumer, end + 1)
      await consumer.close()
      return asked.filter((table) => table !== '').map((table) => table.split('\n')[0]!)
    }
    await forgetBefore(dayBefore(9))
    expect(await asksFor(at)).toEqual([])
    expect(await asksFor(at - 4 * 86_400_000)).toEqual(['forgotten_ids'])
    expect(await asksFor(at - 10 * 86_400_000)).toEqual(['forgotten_ids', 'events'])
  })

  test('inserts only what is missing of an open claim, also when the token was forgotten', async () => {
    const records = Array.from({ length: 20 }, () => makeRecord({ at }))
    await append(records)
    const broken = await start({
      onPoint: (reached) => {
        if (reached === 'inserted') throw new Error('the process ends here')
      },
    })
    await expect(broken.done).rejects.toThrow('ends here')
    // As after a restore, or a part that did not survive a power cut: some rows are gone, and their token is not.
    await test_.store.command('ALTER TABLE events DELETE WHERE offset >= 12')
    const consumer = await start()
    await consumedTo(consumer, 20)
    expect(await count('events')).toBe(20)
  })

  test('stops when store and log disagree, and says what to do', async () => {
    await append(Array.from({ length: 10 }, () => makeRecord({ at })))
    const consumer = await start()
    await consumedTo(consumer, 10)
    await consumer.close()
    await log.setPosition(topics.events, storeGroup, 0, { next: 4 })
    const confused = await start()
    await expect(confused.done).rejects.toMatchObject({ code: 'POSITION_DISAGREES' })
  })

  test('finds the row that the store refuses, sets it aside and stores the others', async () => {
    const good = Array.from({ length: 9 }, () => makeRecord({ at }))
    // Readable as a record; the visitor is no number.
    await append([...good.slice(0, 4), makeRecord({ at, visitor: 'nobody' }), ...good.slice(4)])
    const consumer = await start()
    await consumedTo(consumer, 10)
    expect([await count('events'), await count('failed_events')]).toEqual([9, 1])
    expect(await queryLedger(test_.store)).toMatchObject({ read: 10, stored: 9, failed: 1, difference: 0 })
  })

  test('stops rather than drain a log of poison', async () => {
    await log.append(
      topics.events,
      Array.from({ length: 150 }, (_, index) => ({ key: String(index), value: '{"not":"an event"}' })),
    )
    const consumer = await start()
    await expect(consumer.done).rejects.toMatchObject({ code: 'POISONED' })
    expect(await count('failed_events')).toBe(0)
  })

  test('sets aside a record that cannot be read, about when its neighbours came, and goes on', async () => {
    await append([makeRecord({ at })])
    await log.append(topics.events, [{ key: 'x', value: '{"v":2}' }])
    const consumer = await start()
    await consumedTo(consumer, 2)
    await append([makeRecord({ at })])
    await consumedTo(consumer, 3)
    await test_.store.command('OPTIMIZE TABLE failed_events FINAL')
    expect([await count('events'), await count('failed_events')]).toEqual([2, 1])
    const [row] = await test_.store.query<{ reason: string; near: number }>(
      'SELECT reason, abs(toUnixTimestamp(received_at) - {at:UInt64}) < 86400 AS near FROM failed_events',
      { at: Math.floor(at / 1_000) },
    )
    expect(row).toEqual({ reason: 'invalid_record', near: 1 })
  })

  test('keeps a record that cannot be read although nothing tells when it came', async () => {
    await log.append(topics.events, [{ key: 'x', value: 'no JSON' }])
    const consumer = await start()
    await consumedTo(consumer, 1)
    await test_.store.command('OPTIMIZE TABLE failed_events FINAL')
    expect(await count('failed_events')).toBe(1)
    expect(await queryLedger(test_.store)).toMatchObject({ read: 1, failed: 1, difference: 0 })
  })

  test('consumes a range that holds no record: erasure and restores leave such gaps', async () => {
    await append([makeRecord({ at })])
    await log.skipTo(topics.events, 0, 10)
    const consumer = await start()
    await consumedTo(consumer, 10)
    await append([makeRecord({ at })])
    await consumedTo(consumer, 11)
    expect(await count('events')).toBe(2)
  })

  test('stores text that was cut within a character, and times of any century', async () => {
    await append([
      makeRecord({ at, path: 'cut \ud83d', props: { 'half \udc00': 'half \ud800' } }),
      makeRecord({ at: Date.UTC(1926, 0, 1), received_at: at }),
      makeRecord({ at: Date.UTC(1999, 0, 1), received_at: at }),
    ])
    const consumer = await start()
    await consumedTo(consumer, 3)
    const rows = await test_.store.query<{ path: string; at: string }>(
      'SELECT path, toString(at) AS at FROM events ORDER BY at',
    )
    expect(rows.map((row) => row.at)).toEqual([
      '1926-01-01 00:00:00.000',
      '1999-01-01 00:00:00.000',
      new Date(at).toISOString().replace('T', ' ').slice(0, -1),
    ])
    expect(rows[2]!.path).toBe('cut \ufffd')
  })

  test('stops when the store refuses row after row: then the fault is ours', async () => {
    await append(Array.from({ length: 105 }, () => makeRecord({ at, visitor: 'nobody' })))
    const consumer = await start()
    await expect(consumer.done).rejects.toMatchObject({ code: 'POISONED' })
    expect(await count('failed_events')).toBeLessThan(105)
  })

  test('goes on by itself when the engine is killed under it', async () => {
    const consumer = await start()
    for (let round = 0; round < 5; round++) {
      await append(Array.from({ length: 40 }, () => makeRecord({ at })))
      const pid = test_.engine.pid()
      if (pid !== null) process.kill(pid, 'SIGKILL')
    }
    await consumedTo(consumer, 200)
    expect(await count('events')).toBe(200)
    expect(await queryLedger(test_.store)).toMatchObject({ read: 200, stored: 200, difference: 0 })
  })

  test('tells the log that it lives while it waits for the store, which is no hang', async () => {
    await append([makeRecord({ at })])
    let outage = 6
    let signs = 0
    const consumer = await start({
      log: {
        ...log,
        async consume(topic, group, handlers) {
          const member = await log.consume(topic, group, handlers)
          return {
            ...member,
            async position(partition) {
              if (outage < 6) signs += 1
              return member.position(partition)
            },
          }
        },
      },
      store: {
        ...test_.store,
        async query(sql, parameters) {
          if (sql.includes('event_ids') && outage > 0) {
            outage -= 1
            throw new PipelineError('STORE_UNAVAILABLE', 'It is away.')
          }
          return test_.store.query(sql, parameters)
        },
      },
      wait: async () => undefined,
    })
    await consumedTo(consumer, 1)
    expect(signs).toBe(6)
  })

  test('a partition that is given to it while it closes is left to others, and the close ends', async () => {
    const several = await openSeveral(2)
    try {
      await several.append(topics.events, keyed(Array.from({ length: 20 }, () => makeRecord({ at }))))
      let assignLate: () => unknown = () => undefined
      let asked = 0
      let holdOn: () => void = () => undefined
      const isHeld = new Promise<void>((resolve) => (holdOn = resolve))
      let goOn: () => void = () => undefined
      const held = new Promise<void>((resolve) => (goOn = resolve))
      const consumer = await start({
        log: {
          ...several,
          async consume(topic, group, handlers) {
            const member = await several.consume(topic, group, {
              ...handlers,
              onAssigned(partition) {
                if (partition === 0) return handlers.onAssigned(0)
                assignLate = () => handlers.onAssigned(partition)
              },
            })
            return {
              ...member,
              async claim(partition, end) {
                await member.claim(partition, end)
                holdOn()
                await held
              },
              position(partition) {
                if (partition === 1) asked++
                return member.position(partition)
              },
            }
          },
        },
      })
      await isHeld
      const closing = consumer.close()
      // As when the neighbour is stopped too, and its partition comes to us while our last batch is stored.
      void assignLate()
      goOn()
      await closing
      expect(asked).toBe(0)
    } finally {
      await several.close()
    }
  })

  test('who was stopped between the answer to its claim and the reading of it inserts nothing, whatever the store forgot', async () => {
    await append(Array.from({ length: 20 }, () => makeRecord({ at })))
    let fallAsleep: () => void = () => undefined
    const asleep = new Promise<void>((resolve) => (fallAsleep = resolve))
    let wakeUp: () => void = () => undefined
    const awake = new Promise<void>((resolve) => (wakeUp = resolve))
    let clock = at
    let claims = 0
    const sleeper = await start({
      now: () => clock,
      wait: async () => undefined,
      log: {
        ...log,
        async consume(topic, group, handlers) {
          // It does not hear that its partition is gone.
          const member = await log.consume(topic, group, { ...handlers, onRevoked: () => undefined })
          return {
            ...member,
            async claim(partition, end) {
              await member.claim(partition, end)
              if (claims++ > 0) return
              fallAsleep()
              await awake
            },
          }
        },
      },
    })
    await asleep
    const heir = await start()
    await consumedTo(heir, 20)
    await test_.store.command('ALTER TABLE events MODIFY SETTING non_replicated_deduplication_window = 1')
    try {
      await insertRecords(test_.store, [makeRecord({ at })], 'other')
      await insertRecords(test_.store, [makeRecord({ at })], 'other')
      clock += 3_600_000
      wakeUp()
      // Its claim is refused when it is made anew.
      await expect(sleeper.done).rejects.toMatchObject({ code: 'FENCED' })
      expect(await count("events WHERE log_id != 'other'")).toBe(20)
    } finally {
      await test_.store.command('ALTER TABLE events MODIFY SETTING non_replicated_deduplication_window = 120000')
    }
  })

  test('says how old the oldest record is that it could not store yet, and nothing once it could', async () => {
    await append([makeRecord({ at: at - 3_600_000 }), makeRecord({ at })])
    let isAway = true
    let comeBack: () => void = () => undefined
    const back = new Promise<void>((resolve) => (comeBack = resolve))
    let refuse: () => void = () => undefined
    const refused = new Promise<void>((resolve) => (refuse = resolve))
    const consumer = await start({
      store: {
        ...test_.store,
        async query(sql, parameters) {
          if (sql.includes('event_ids') && isAway) throw new PipelineError('STORE_UNAVAILABLE', 'It is away.')
          return test_.store.query(sql, parameters)
        },
      },
      now: () => at,
      // Of flushes and of retries: what is tried again waits until the store is back.
      wait: async (ms) => {
        if (ms === 1) return
        refuse()
        await back
      },
    })
    await refused
    expect(consumer.behindMs()).toBe(3_600_000)
    isAway = false
    comeBack()
    await consumedTo(consumer, 2)
    await consumer.close()
    expect(consumer.behindMs()).toBe(0)
  })

  test('stores few batches at a time of those that are full by their bytes, however few records they hold', async () => {
    const several = await openSeveral(12)
    try {
      const records = Array.from({ length: 120 }, () => makeRecord({ at }))
      const maxBytes = Math.min(...records.map((record) => JSON.stringify(record).length))
      await several.append(topics.events, keyed(records))
      let atOnce = 0
      let most = 0
      const store: typeof test_.store = {
        ...test_.store,
        async insert(table, ...rest) {
          if (table !== 'events') return test_.store.insert(table, ...rest)
          most = Math.max(most, ++atOnce)
          await test_.store.insert(table, ...rest)
          atOnce--
        },
      }
      const limits = { maxRecords: 1_000, maxBytes, flushIntervalMs: 1 }
      const consumer = await start({ log: several, store, limits })
      await consumedTo(consumer, 120)
      expect(most).toBe(3)
      expect(await count('events')).toBe(120)
      await consumer.close()
    } finally {
      await several.close()
    }
  })

  test('reads no further than a batch for each partition and one for each that is stored, however far it is behind', async () => {
    const several = await openSeveral(12)
    try {
      const records = Array.from({ length: 600 }, () => makeRecord({ at }))
      await several.append(topics.events, keyed(records))
      let inserting = 0
      let read = 0
      let isMeasured: () => void = () => undefined
      const measured = new Promise<void>((resolve) => (isMeasured = resolve))
      const store: typeof test_.store = {
        ...test_.store,
        async insert(table, ...rest) {
          if (table === 'events') {
            inserting++
            await measured
          }
          await test_.store.insert(table, ...rest)
        },
      }
      const counting: EventLog = {
        ...several,
        async consume(...options) {
          const member = await several.consume(...options)
          return {
            ...member,
            async read(...from) {
              const result = await member.read(...from)
              read += result.records.length
              return result
            },
          }
        },
      }
      const limits = { maxRecords: 10, maxBytes: 8_000_000, flushIntervalMs: 1 }
      const consumer = await start({ log: counting, store, limits })
      while (inserting < 3 || read < 150) await new Promise((resolve) => setImmediate(resolve))
      for (let turn = 0; turn < 1_000; turn++) await new Promise((resolve) => setImmediate(resolve))
      expect({ inserting, read }).toEqual({ inserting: 3, read: 150 })
      isMeasured()
      await consumedTo(consumer, 600)
      expect(await count('events')).toBe(600)
      await consumer.close()
    } finally {
      await several.close()
    }
  })

  test('begins although the log does not say at first where it is', async () => {
    await append([makeRecord({ at })])
    let asked = 0
    const consumer = await start({
      log: {
        ...log,
        async consume(topic, group, handlers) {
          const member = await log.consume(topic, group, handlers)
          return {
            ...member,
            async position(partition) {
              asked += 1
              if (asked % 2 === 0) throw new PipelineError('LOG_UNAVAILABLE', 'It is away.')
              return member.position(partition)
            },
          }
        },
      },
    })
    await consumedTo(consumer, 1)
    expect(await count('events')).toBe(1)
  })

  test('holds still between two batches while it is paused', async () => {
    const consumer = await start()
    const resume = await consumer.pause()
    await append([makeRecord({ at })])
    const before = await count('events')
    resume()
    await consumedTo(consumer, 1)
    expect([before, await count('events')]).toEqual([0, 1])
  })
})
