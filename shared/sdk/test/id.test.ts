import { expect, test } from 'vitest'
import { uuidv7 } from '../src/id.ts'

test('an id is a UUID of version 7 that begins with the time it was made', () => {
  const before = Date.now()
  const id = uuidv7()
  const after = Date.now()
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  const made = Number.parseInt(id.replace('-', '').slice(0, 12), 16)
  expect(made).toBeGreaterThanOrEqual(before)
  expect(made).toBeLessThanOrEqual(after)
})

test('ids sort by the millisecond they were made in and do not repeat', () => {
  const ids = Array.from({ length: 10_000 }, uuidv7)
  const stamps = ids.map((id) => id.slice(0, 13))
  expect(stamps).toEqual([...stamps].sort())
  expect(new Set(ids).size).toBe(ids.length)
})
