import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLineCutter } from '../../src/import/line-cutter.ts'

test('lines are those of the text, wherever the bytes are cut, and what has no end is held back', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme' }).filter((text) => !/[\r\n]/.test(text))),
      fc.constantFrom('\n', '\r\n'),
      fc.integer({ min: 1, max: 9 }),
      (lines, end, step) => {
        const bytes = Buffer.from(lines.map((line) => line + end).join('') + 'half')
        const cutter = createLineCutter()
        const cut: string[] = []
        for (let start = 0; start < bytes.length; start += step)
          cut.push(...cutter.cut(bytes.subarray(start, start + step)))
        expect(cut).toEqual(lines)
        expect(cutter.rest()).toBe('half')
      },
    ),
  )
})

test('a file without newlines is not gathered in memory', () => {
  const cutter = createLineCutter()
  for (let time = 0; time < 100; time++) expect(cutter.cut(Buffer.alloc(10_000, 'x'))).toEqual([])
  expect(cutter.rest()).toHaveLength(20_000)
  expect(cutter.cut(Buffer.from('y\nnext\n'))).toEqual(['x'.repeat(20_000), 'next'])
})
