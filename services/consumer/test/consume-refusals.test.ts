import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import type { EventLog } from '@footfall/event-log'
import type { Store } from '@footfall/store/open'
import { createLogger } from '@footfall/telemetry/logger'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startRefusalConsumer } from '../src/consume-refusals.ts'

let directory: string
let log: Awaited<ReturnType<typeof openEmbeddedEventLog>>
/** What a store has that drops a token it knows. */
let stored: Map<string, unknown[][]>
const closers: (() => Promise<void>)[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'footfall-refusals-'))
  log = await openEmbeddedEventLog({ directory, minFreeBytes: 0 })
  stored = new Map()
})
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
  await log.close()
  await rm(directory, { recursive: true })
})

const append = (count: number) =>
  log.append(
    topics.refusals,
    Array.from({ length: count }, () => ({
      key: 'a',
      value: JSON.stringify({ v: 1, deployment: 'a', reason: 'rate_limited', at: 0, count: 1, where: '' }),
    })),
  )
const counted = (): number => [...stored.values()].flat().reduce((sum, [, , , refused]) => sum + Number(refused), 0)

async function start(options: { log?: EventLog; insert?: Store['insert'] } = {}) {
  const insert: Store['insert'] = async (_table, _columns, rows, token) => {
    if (!stored.has(token!)) stored.set(token!, [...rows] as unknown[][])
  }
  const consumer = await startRefusalConsumer({
    log: options.log ?? log,
    store: { insert: options.insert ?? insert } as Store,
    logger: createLogger('silent'),
    wait: () => new Promise((resolve) => setImmediate(resolve)),
  })
  closers.push(() => consumer.close())
  return { ...consumer, insert }
}
const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve))
}
/** The log as it may be: a read stops at every record. */
const hesitant = (): EventLog => ({
  ...log,
  async consume(topic, group, handlers) {
    const consumer = await log.consume(topic, group, handlers)
    return { ...consumer, read: (number, from, limits) => consumer.read(number, from, { ...limits, maxRecords: 1 }) }
  },
})

test('counts a refusal once though the store answered that it failed, and more came until the next try', async () => {
  await append(3)
  let isFirst = true
  const { insert } = await start({
    async insert(table, columns, rows, token) {
      await insert(table, columns, rows, token)
      if (!isFirst) return
      isFirst = false
      await append(4)
      throw new PipelineError('STORE_UNAVAILABLE', 'It is away.')
    },
  })
  await until(() => counted() >= 7)
  expect([...stored.values()].map((rows) => rows[0]![3])).toEqual([3, 4])
})

test('resolves a claim that was left open within the bounds of the first try, however the log gives the records', async () => {
  await append(5)
  await log.setPosition(topics.refusals, 'store', 0, { next: 0, claimed: 3 })
  await start({ log: hesitant() })
  await until(() => counted() >= 5)
  expect([...stored.keys()].map((token) => token.split(':')[3])).toEqual(['0-3', '3-4', '4-5'])
})

test('says what stopped it', async () => {
  await append(1)
  const { failed } = await start({
    insert: () => Promise.reject(new PipelineError('CONFLICT', 'There is no such table.')),
  })
  await expect(failed).rejects.toMatchObject({ code: 'CONFLICT' })
})
