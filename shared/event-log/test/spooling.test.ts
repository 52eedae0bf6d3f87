import { PipelineError } from '@footfall/contracts/errors'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { EventLog } from '../src/event-log.ts'
import { openSpoolingEventLog, type SpoolingLogOptions } from '../src/spooling.ts'
import { recordsOf, take, textsOf } from './contract.ts'
import { makeDirectories, type EmbeddedLog } from './directories.ts'

type Behaviour = 'well' | 'away' | 'silent' | 'late'

let directories: Awaited<ReturnType<typeof makeDirectories>>
let shared: EmbeddedLog
let behaviour: Behaviour
const opened: EventLog[] = []

beforeEach(async () => {
  directories = await makeDirectories()
  shared = await directories.open(directories.fresh())
  behaviour = 'well'
})
afterEach(async () => {
  for (const log of opened.splice(0)) await log.close()
  await directories.remove()
})

/** The real log, which at times does not answer, or answers that it is away. `late`: written, and nobody hears of it. */
const faulty = (log: EventLog): EventLog => ({
  ...log,
  async append(topic, records) {
    if (behaviour === 'away') throw new PipelineError('LOG_UNAVAILABLE', 'It is away.')
    if (behaviour !== 'silent') {
      const result = await log.append(topic, records)
      if (behaviour === 'well') return result
    }
    return new Promise(() => undefined)
  },
  close: async () => undefined,
})

function open(spool: EmbeddedLog, options: Partial<SpoolingLogOptions> = {}) {
  const log = openSpoolingEventLog({
    connect: async () => {
      if (behaviour === 'away') throw new PipelineError('LOG_UNAVAILABLE', 'It is away.')
      return faulty(shared)
    },
    spool,
    topics: ['events'],
    timeoutMs: 20,
    wait: () => new Promise((resolve) => setImmediate(resolve)),
    ...options,
  })
  opened.push(log)
  return log
}

async function sharedTexts(): Promise<string[]> {
  const { end } = (await shared.partitions('events'))[0]!
  return textsOf(end === 0 ? [] : await take(shared.tail('events', { from: 'start' }), end))
}
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setImmediate(resolve))
}

describe('a log with a spool', () => {
  test('sends to the shared log while that answers, and spools nothing', async () => {
    const log = open(await directories.open(directories.fresh()))
    await until(async () => log.isShared())
    await log.append('events', recordsOf(['a', 'b']))
    expect([await sharedTexts(), await log.spooled()]).toEqual([['a', 'b'], 0])
  })

  test.each<Behaviour>(['away', 'silent'])(
    'keeps what a shared log that is %s does not take, and hands it on',
    async (how) => {
      const log = open(await directories.open(directories.fresh()))
      await until(async () => log.isShared())
      behaviour = how
      await log.append('events', recordsOf(['a']))
      expect(log.isShared()).toBe(false)
      await log.append('events', recordsOf(['b\nb', '']))
      expect([await sharedTexts(), await log.spooled()]).toEqual([[], 3])
      behaviour = 'well'
      // A send that got no answer is not given up: here it never gets one.
      if (how === 'silent') return
      await until(async () => (await log.spooled()) === 0)
      expect(await sharedTexts()).toEqual(['a', 'b\nb', ''])
      expect(log.isShared()).toBe(true)
    },
  )

  test('takes events before the shared log was ever reached', async () => {
    behaviour = 'away'
    const log = open(await directories.open(directories.fresh()))
    await log.append('events', recordsOf(['a']))
    expect(() => log.logId).toThrow('cannot take events')
    behaviour = 'well'
    await log.drained()
    await until(async () => (await log.spooled()) === 0)
    expect(await sharedTexts()).toEqual(['a'])
    expect(log.logId).toBe(shared.logId)
  })

  test('tells nothing of a spool that waits for a shared log which is still being connected', async () => {
    let connect: () => void = () => undefined
    const connected = new Promise<void>((resolve) => (connect = resolve))
    const problems: string[] = []
    let tries = 0
    const log = open(await directories.open(directories.fresh()), {
      connect: async () => connected.then(() => faulty(shared)),
      onProblem: (problem) => problems.push(problem),
      wait: () => (tries++, new Promise((resolve) => setImmediate(resolve))),
    })
    await log.append('events', recordsOf(['a']))
    await until(async () => tries > 3)
    expect(problems).toEqual([])
    connect()
    await log.drained()
    expect(await sharedTexts()).toEqual(['a'])
  })

  test('has a record in both when its answer was lost, never in none', async () => {
    const log = open(await directories.open(directories.fresh()))
    await until(async () => log.isShared())
    behaviour = 'late'
    await log.append('events', recordsOf(['a']))
    expect(await sharedTexts()).toContain('a')
    expect(await log.spooled()).toBe(1)
  })

  test('hands on after kill -9 what it had acknowledged', async () => {
    behaviour = 'away'
    const directory = directories.fresh()
    const first = open(await directories.open(directory))
    const values = Array.from({ length: 5_000 }, (_, index) => String(index))
    for (let from = 0; from < values.length; from += 100)
      await first.append('events', recordsOf(values.slice(from, from + 100)))
    const copy = await directories.crashCopy(directory)
    behaviour = 'well'
    const second = open(await directories.open(copy))
    await until(async () => second.isShared() && (await second.spooled()) === 0)
    expect(new Set(await sharedTexts())).toEqual(new Set(values))
  })

  test('says that it is full when its disk is, and takes events again once they were handed on', async () => {
    behaviour = 'away'
    const log = open(
      await directories.open(directories.fresh(), { maxBytes: 40_000, segmentBytes: 8_000, retentionMs: 0 }),
    )
    const append = (): Promise<unknown> => log.append('events', recordsOf(['x'.repeat(4_000)]))
    const refused = async (): Promise<unknown> => {
      for (;;) {
        try {
          await append()
        } catch (error) {
          return error
        }
      }
    }
    expect(await refused()).toMatchObject({ code: 'LOG_FULL', retryable: true })
    const kept = await log.spooled()
    behaviour = 'well'
    await until(async () => (await log.spooled()) === 0)
    expect((await sharedTexts()).length).toBe(kept)
    await append()
  })

  test('asks the shared log again when its own disk is full and holds nothing to hand on', async () => {
    // As a disk that others have filled.
    const spool = await directories.open(directories.fresh(), { minFreeBytes: Number.MAX_SAFE_INTEGER })
    const log = open(spool, { timeoutMs: 60_000 })
    await until(async () => log.isShared())
    behaviour = 'away'
    await expect(log.append('events', recordsOf(['a']))).rejects.toMatchObject({ code: 'LOG_FULL' })
    behaviour = 'well'
    await log.append('events', recordsOf(['b']))
    expect(await sharedTexts()).toEqual(['b'])
  })

  test('hands on what it took once a disk that was full at the start has room', async () => {
    behaviour = 'away'
    let isFull = true
    const spool = await directories.open(directories.fresh())
    const log = open({
      ...spool,
      async consume(topic, group, handlers) {
        if (isFull) throw new PipelineError('LOG_FULL')
        return spool.consume(topic, group, handlers)
      },
    })
    await log.append('events', recordsOf(['a']))
    isFull = false
    behaviour = 'well'
    await until(async () => (await sharedTexts()).length > 0)
    expect(await sharedTexts()).toEqual(['a'])
  })

  test('spools only topics whose readers deduplicate', async () => {
    behaviour = 'away'
    const log = open(await directories.open(directories.fresh()))
    await expect(log.append('registry', recordsOf(['a']))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
    await expect(log.partitions('registry')).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  })
})
