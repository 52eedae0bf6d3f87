import fc from 'fast-check'
import { expect, test } from 'vitest'
import { together } from '../src/together.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('what is asked for in one turn, or while work is under way, is one piece of work', async () => {
  const groups: (readonly number[])[] = []
  let end: () => void = () => undefined
  const double = together(async (items: readonly number[]) => {
    groups.push(items)
    if (groups.length === 1) await new Promise<void>((resolve) => (end = resolve))
    return items.map((item) => item * 2)
  })
  const first = [double(1), double(2)]
  await turn()
  const later = [double(3)]
  await turn()
  later.push(double(4))
  expect(groups).toEqual([[1, 2]])
  end()
  expect(await Promise.all([...first, ...later])).toEqual([2, 4, 6, 8])
  expect(groups).toEqual([
    [1, 2],
    [3, 4],
  ])
})

test('work that fails fails for those in it, and for no other', async () => {
  const check = together(
    async (items: readonly string[]) => {
      if (items.includes('bad')) throw new Error('refused')
      return items
    },
    { most: 2 },
  )
  const answers = await Promise.allSettled(['bad', 'beside', 'good'].map(check))
  expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled'])
  expect(await check('after')).toBe('after')
})

test('work that hangs holds up what is in it, and what comes later only when as many hang as may be under way', async () => {
  const ends: (() => void)[] = []
  const ask = together(
    async (items: readonly string[]) => {
      if (items[0]!.startsWith('hangs')) await new Promise<void>((resolve) => ends.push(resolve))
      return items
    },
    { atOnce: 2 },
  )
  const first = ask('hangs 1')
  await turn()
  expect(await ask('goes on')).toBe('goes on')
  const second = ask('hangs 2')
  await turn()
  await turn()
  let isAnswered = false
  const later = [ask('waits'), ask('beside it')].map((answer) => answer.finally(() => (isAnswered = true)))
  await turn()
  await turn()
  expect(isAnswered).toBe(false)
  for (const end of ends) end()
  expect(await Promise.all([first, second, ...later])).toEqual(['hangs 1', 'hangs 2', 'waits', 'beside it'])
})

test('whatever comes when, each gets its own answer and no group is heavier than allowed', async () => {
  const turnsOfWeights = fc.array(fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 8 }))
  await fc.assert(
    fc.asyncProperty(turnsOfWeights, fc.integer({ min: 1, max: 3 }), async (turns, atOnce) => {
      let underWay = 0
      const ask = together(
        async (items: readonly { weight: number; name: number }[]) => {
          const weight = items.reduce((sum, item) => sum + item.weight, 0)
          expect(items.length === 1 || weight <= 10).toBe(true)
          expect(++underWay).toBeLessThanOrEqual(atOnce)
          await turn()
          underWay--
          return items.map(({ name }) => name)
        },
        { most: 10, weigh: ({ weight }) => weight, atOnce },
      )
      let asked = 0
      const answers: Promise<number>[] = []
      for (const weights of turns) {
        for (const weight of weights) answers.push(ask({ weight, name: asked++ }))
        await turn()
      }
      expect(await Promise.all(answers)).toEqual(Array.from({ length: asked }, (_, name) => name))
    }),
  )
})
