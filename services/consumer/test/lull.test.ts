import { expect, test } from 'vitest'
import { createLull } from '../src/lull.ts'

/** Work that runs until it is told to end. */
function held() {
  let end: () => void = () => undefined
  const over = new Promise<void>((resolve) => (end = resolve))
  return { work: () => over, end: () => end() }
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const longMs = 100_000

test('who waits goes on when the last work has ended, however it ended, and at once when there is none', async () => {
  const lull = createLull()
  await lull.over(longMs)
  const first = held()
  const runs = [lull.during(first.work), lull.during(() => Promise.reject(new Error('no luck')))]
  let gone = 0
  const waiting = [lull.over(longMs), lull.over(longMs)].map((over) => over.then(() => gone++))
  await expect(runs[1]).rejects.toThrow('no luck')
  await turn()
  expect(gone).toBe(0)
  first.end()
  await Promise.all([...waiting, runs[0]])
  expect(gone).toBe(2)
})

test('who waits for work that hangs waits so long and no longer', async () => {
  const lull = createLull()
  const hanging = held()
  const run = lull.during(hanging.work)
  await lull.over(1)
  hanging.end()
  await run
})

test('work gives what it comes to', async () => {
  expect(await createLull().during(async () => 7)).toBe(7)
})
