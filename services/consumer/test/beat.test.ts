import { expect, test } from 'vitest'
import { createBeat } from '../src/beat.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A beat whose time is over when the test says so. */
function openBeat() {
  const ends: (() => void)[] = []
  const beat = createBeat(() => new Promise((resolve) => ends.push(resolve)))
  return { ends, beat }
}

test('all who ask within one beat go on at its end, and the next who asks starts another', async () => {
  const { ends, beat } = openBeat()
  const { signal } = new AbortController()
  const first = beat(signal)
  await turn()
  const second = beat(signal)
  await turn()
  expect(ends).toHaveLength(1)
  ends[0]!()
  await Promise.all([first, second])
  let isOver = false
  const third = beat(signal).then(() => (isOver = true))
  await turn()
  expect(ends).toHaveLength(2)
  expect(isOver).toBe(false)
  ends[1]!()
  await third
})

test('whose own signal aborts waits no longer, the others do', async () => {
  const { ends, beat } = openBeat()
  const one = new AbortController()
  const stopped = beat(one.signal)
  let isOver = false
  const other = beat(new AbortController().signal).then(() => (isOver = true))
  one.abort()
  await stopped
  await beat(one.signal)
  await turn()
  expect(isOver).toBe(false)
  ends[0]!()
  await other
})
