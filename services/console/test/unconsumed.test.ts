import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { topics } from '@footfall/contracts/event'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createUnconsumed, shareLooks, type Unconsumed } from '../src/unconsumed.ts'

let directory: string
let log: Awaited<ReturnType<typeof openEmbeddedEventLog>>
let unconsumed: ReturnType<typeof createUnconsumed>
let consumedTo: number
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'footfall-unconsumed-'))
  log = await openEmbeddedEventLog({ directory, minFreeBytes: 0, segmentBytes: 1, retentionMs: 0 })
  consumedTo = 0
  unconsumed = createUnconsumed(log, async () => new Map([[0, consumedTo]]))
})
afterEach(async () => {
  await log.close()
  await rm(directory, { recursive: true, force: true })
})

const accept = (...events: [deployment: string, receivedAt: number][]) =>
  log.append(
    topics.events,
    events.map(([deployment, received_at], index) => ({
      key: `${index}`,
      value: JSON.stringify({ deployment, received_at }),
    })),
  )

describe('what waits in the log', () => {
  test('is counted for one deployment by reading it, and tells since when the oldest of all waits', async () => {
    await accept(['a', 1_000], ['b', 2_000], ['a', 3_000])
    expect(await unconsumed.look()).toEqual({ in_log: 3, unconsumed_from: 1_000 })
    expect(await unconsumed.look('b')).toEqual({ in_log: 1, unconsumed_from: 1_000 })
    consumedTo = 1
    expect(await unconsumed.look('a')).toEqual({ in_log: 1, unconsumed_from: 2_000 })
    consumedTo = 3
    expect(await unconsumed.look('a')).toEqual({ in_log: 0 })
  })

  test('is that of all deployments, and says so, when too much waits to be told apart', async () => {
    for (let batch = 0; batch < 11; batch++)
      await accept(...Array.from({ length: 10_000 }, (): [string, number] => ['a', 5_000]))
    expect(await unconsumed.look('b')).toEqual({ in_log: 110_000, in_log_scope: 'all', unconsumed_from: 5_000 })
    consumedTo = 10_000
    expect(await unconsumed.look('b')).toEqual({ in_log: 0, unconsumed_from: 5_000 })
  })

  test('counts a record that cannot be read for nobody', async () => {
    await log.append(topics.events, [{ key: 'x', value: 'not JSON' }])
    expect([await unconsumed.look(), await unconsumed.look('a')]).toEqual([{ in_log: 1 }, { in_log: 0 }])
  })

  test('is counted to where the log ended, also when what comes meanwhile does not stop', async () => {
    await accept(['a', 1_000])
    const [looked] = await Promise.all([unconsumed.look('a'), accept(['a', 2_000], ['a', 3_000])])
    expect([1, 3]).toContain(looked.in_log)
  })
})

describe('a look that is shared', () => {
  let at: number
  let begun: { deployment: string | undefined; end: (answer: Unconsumed) => void; fail: (error: Error) => void }[]
  let look: ReturnType<typeof shareLooks>
  beforeEach(() => {
    at = 0
    begun = []
    look = shareLooks(
      (deployment) => new Promise((end, fail) => begun.push({ deployment, end, fail })),
      () => at,
    )
  })

  test('serves every request of a second from its beginning, for each deployment another', async () => {
    const first = look()
    begun[0]!.end({ in_log: 1 })
    await first
    at = 999
    expect(await look()).toEqual({ in_log: 1 })
    void look('a')
    at = 1_000
    void look()
    expect(begun.map(({ deployment }) => deployment)).toEqual([undefined, 'a', undefined])
  })

  test('is joined while it is under way, however long that takes', async () => {
    const first = look('a')
    at = 5_000
    const second = look('a')
    expect(begun).toHaveLength(1)
    begun[0]!.end({ in_log: 2 })
    expect(await Promise.all([first, second])).toEqual([{ in_log: 2 }, { in_log: 2 }])
    void look('a')
    expect(begun).toHaveLength(2)
  })

  test('that failed is begun anew by the next request', async () => {
    const [first, second] = [look(), look()]
    begun[0]!.fail(new Error('The log is away.'))
    await expect(first).rejects.toThrow('away')
    await expect(second).rejects.toThrow('away')
    const third = look()
    begun[1]!.end({ in_log: 3 })
    expect(await third).toEqual({ in_log: 3 })
  })

  test('that found nothing is not kept: what was accepted since waits', async () => {
    const first = look()
    begun[0]!.end({ in_log: 0 })
    await first
    void look()
    expect(begun).toHaveLength(2)
  })

  test('joins one group on a log where each would join its own', async () => {
    await accept(['a', 1_000])
    let tails = 0
    const counting = createUnconsumed(
      { ...log, tail: (...args) => ((tails += 1), log.tail(...args)) },
      async () => new Map([[0, 0]]),
    )
    const shared = shareLooks(
      (deployment) => counting.look(deployment),
      () => 0,
    )
    expect(await Promise.all([shared('a'), shared('a'), shared('a')])).toMatchObject(Array(3).fill({ in_log: 1 }))
    expect(tails).toBe(1)
  })
})
