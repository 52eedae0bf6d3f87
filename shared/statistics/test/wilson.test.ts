import { expect, test } from 'vitest'
import { wilsonInterval } from '../src/wilson.ts'

test('an interval of none is from exactly 0, of all to exactly 1, whatever the rounding', () => {
  for (let trials = 1; trials <= 2_000; trials++) {
    expect(wilsonInterval(0, trials)!.low).toBe(0)
    expect(wilsonInterval(trials, trials)!.high).toBe(1)
  }
})

test('of nothing there is none', () => {
  expect(wilsonInterval(0, 0)).toBeNull()
})
