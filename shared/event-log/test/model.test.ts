import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { EmbeddedLog } from './directories.ts'
import { all, join, recordsOf, type Joined } from './contract.ts'
import { makeDirectories } from './directories.ts'

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      counts: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      from: fc.nat(60),
      maxRecords: fc.integer({ min: 1, max: 20 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('claim' as const), ahead: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('advance' as const), ahead: fc.nat(8) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('rewrite' as const), every: fc.integer({ min: 2, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('skip' as const), by: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('crash' as const, 'reopen' as const, 'reclaim' as const) }) },
)

it('shows at every step what a plain array would', async () => {
  const seed = Number(process.env.SEED ?? 3_600)
  console.log(`model: SEED=${seed}`)
  const run = async (steps: (typeof step extends fc.Arbitrary<infer Step> ? Step : never)[]) => {
    const directories = await makeDirectories()
    let directory = directories.fresh()
    let time = Date.now()
    let log: EmbeddedLog
    let joined: Joined
    const open = async () => {
      log = await directories.open(directory, { segmentBytes: 300, now: () => time })
      joined = await join(log, 'events', 'store')
    }
    await open()
    let model: { offset: number; value: string }[] = []
    let end = 0
    let start = 0
    let position: { next: number; claimed?: number } = { next: 0 }
    try {
      for (const one of steps) {
        const { consumer } = joined!
        if (one.do === 'append') {
          const batches = one.counts.map((count, batch) =>
            Array.from({ length: count }, (_, at) => `${end}/${batch}/${at}`),
          )
          const results = await Promise.all(batches.map((batch) => log!.append('events', recordsOf(batch))))
          for (const [index, { positions }] of results.entries()) {
            for (const [at, { offset }] of positions.entries()) {
              expect(offset).toBe(end)
              model.push({ offset, value: batches[index]?.[at] as string })
              end += 1
            }
          }
        } else if (one.do === 'read') {
          const read = await consumer.read(0, one.from, { ...all, maxRecords: one.maxRecords })
          const expected = model.filter(({ offset }) => offset >= Math.max(one.from, start)).slice(0, one.maxRecords)
          expect(read.records.map(({ offset, value }) => ({ offset, value: value.toString() }))).toEqual(expected)
          expect(read.next).toBeGreaterThan(expected.at(-1)?.offset ?? -1)
          expect(
            model.some(({ offset }) => offset > (expected.at(-1)?.offset ?? read.next) && offset < read.next),
          ).toBe(false)
        } else if (one.do === 'claim') {
          if (position.next === end) continue
          const claimed = Math.min(end, position.next + one.ahead)
          await consumer.claim(0, claimed)
          position = { next: position.next, claimed }
        } else if (one.do === 'advance') {
          position = { next: Math.min(end, position.next + one.ahead) }
          await consumer.advance(0, position.next)
        } else if (one.do === 'rewrite') {
          await log!.rewrite('events', 0, ({ offset }) => offset % one.every !== 0)
          model = model.filter(({ offset }) => offset % one.every !== 0)
        } else if (one.do === 'skip') {
          end += one.by
          await log!.skipTo('events', 0, end)
        } else if (one.do === 'reclaim') {
          time += 100 * 3_600_000
          await log!.reclaim()
        } else {
          if (one.do === 'crash') directory = await directories.crashCopy(directory)
          else await log!.close()
          await open()
        }
        const [state] = await log!.partitions('events')
        start = state?.start ?? 0
        expect(start).toBeLessThanOrEqual(Math.max(position.next, 0))
        model = model.filter(({ offset }) => offset >= start)
        expect(state?.end).toBe(end)
        expect(await joined!.consumer.position(0)).toEqual(position)
      }
      const read = await joined!.consumer.read(0, 0, all)
      expect(read.records.map(({ offset, value }) => ({ offset, value: value.toString() }))).toEqual(model)
    } finally {
      await directories.remove()
    }
  }
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 30 }), run), { seed, numRuns: 60 })
})
