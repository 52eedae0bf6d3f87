import { expect, test } from 'vitest'
import { createRefusals } from '../src/refusals.ts'

test('counts that could not be written are written with the next, without their places', () => {
  const refusals = createRefusals({ now: () => 60_000 })
  for (const index of [0, 1]) refusals.count('app', 'invalid_event', 2, `events[${index}].id`)
  refusals.restore(refusals.drain())
  refusals.count('app', 'invalid_event', 1, 'events[0].id')
  expect(refusals.drain().map(({ count, where }) => [count, where])).toEqual([
    [4, ''],
    [1, 'events[0].id'],
  ])
  expect(refusals.drain()).toEqual([])
})

test('a place is cut, and beyond ten a second only counts are kept', () => {
  const refusals = createRefusals({ now: () => 0 })
  for (let sample = 0; sample < 50; sample++) refusals.count('app', 'malformed', 1, `${sample}`.padEnd(1_000, 'x'))
  const records = refusals.drain()
  expect(records).toHaveLength(11)
  expect(records.reduce((sum, { count }) => sum + count, 0)).toBe(50)
  expect(Math.max(...records.map(({ where }) => where.length))).toBe(100)
})
