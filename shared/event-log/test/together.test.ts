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
    { most: 2, weigh: () => 1 },
  )
  const answers = await Promise.allSettled(['bad', 'beside', 'good'].map(check))
  expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled'])
  expect(await check('after')).toBe('after')
})

test('whatever comes when, each gets its own answer and no group is heavier than allowed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 8 })), async (turns) => {
      const ask = together(
        async (items: readonly { weight: number; name: number }[]) => {
          const weight = items.reduce((sum, item) => sum + item.weight, 0)
          expect(items.length === 1 || weight <= 10).toBe(true)
          await turn()
          return items.map(({ name }) => name)
        },
        { most: 10, weigh: ({ weight }) => weight },
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
