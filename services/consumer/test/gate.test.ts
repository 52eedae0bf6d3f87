import { expect, test } from 'vitest'
import { createGate } from '../src/gate.ts'

/** Work that runs until it is told to end. */
function held() {
  let end: () => void = () => undefined
  const over = new Promise<void>((resolve) => (end = resolve))
  return { work: () => over, end: () => end() }
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('as many as allowed run side by side, the others in their order', async () => {
  const gate = createGate(2)
  const begun: number[] = []
  const jobs = [0, 1, 2, 3].map((number) => ({ number, ...held() }))
  const runs = jobs.map(({ number, work }) =>
    gate.run(1, () => {
      begun.push(number)
      return work()
    }),
  )
  await turn()
  expect(begun).toEqual([0, 1])
  jobs[1]!.end()
  await turn()
  expect(begun).toEqual([0, 1, 2])
  for (const { end } of jobs) end()
  await Promise.all(runs)
  expect(begun).toEqual([0, 1, 2, 3])
})

test('a pause begins when nothing runs, and nothing begins while it lasts', async () => {
  const gate = createGate(2)
  const first = held()
  const running = gate.run(1, first.work)
  const pauses = [gate.pause(), gate.pause()]
  let isBegun = false
  await turn()
  const late = gate.run(1, async () => void (isBegun = true))
  first.end()
  await running
  const resume = await pauses[0]!
  await turn()
  expect(isBegun).toBe(false)
  resume()
  const again = await pauses[1]!
  again()
  await late
  expect(isBegun).toBe(true)
})

test('heavy work waits for room, and what comes after it does not pass it by', async () => {
  const gate = createGate(10)
  const begun: string[] = []
  const start = (name: string, weight: number) => {
    const one = held()
    return { ...one, run: gate.run(weight, () => (begun.push(name), one.work())) }
  }
  const light = start('light', 4)
  const heavy = start('heavy', 99)
  const after = start('after', 1)
  await turn()
  expect(begun).toEqual(['light'])
  light.end()
  await turn()
  expect(begun).toEqual(['light', 'heavy'])
  heavy.end()
  await turn()
  expect(begun).toEqual(['light', 'heavy', 'after'])
  after.end()
  await Promise.all([light.run, heavy.run, after.run])
})

test('a pause that is ended twice ends once', async () => {
  const gate = createGate(1)
  const resume = await gate.pause()
  resume()
  resume()
  const first = held()
  const running = gate.run(1, first.work)
  let isBegun = false
  const second = gate.run(1, async () => void (isBegun = true))
  await turn()
  expect(isBegun).toBe(false)
  first.end()
  await Promise.all([running, second])
})

test('work that fails gives its place back', async () => {
  const gate = createGate(1)
  await expect(gate.run(1, () => Promise.reject(new Error('no luck')))).rejects.toThrow('no luck')
  expect(await gate.run(1, async () => 7)).toBe(7)
})
