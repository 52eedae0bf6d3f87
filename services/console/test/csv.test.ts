import { expect, test } from 'vitest'
import { printCsv } from '../src/csv.ts'

test('text that a spreadsheet would run is text, numbers stay numbers', () => {
  const rows = ['=1+1', '+1', '-1', '@x', '\tx', '\rx', 'a-b'].map((cell) => [cell])
  expect(printCsv(['name'], rows)).toBe("name\r\n'=1+1\r\n'+1\r\n'-1\r\n'@x\r\n'\tx\r\n\"'\rx\"\r\na-b\r\n")
  for (const sign of '＝＋－＠') expect(printCsv(['name'], [[`${sign}1`]])).toBe(`name\r\n'${sign}1\r\n`)
  expect(printCsv(['value'], [[-1.5], [0]])).toBe('value\r\n-1.5\r\n0\r\n')
})

test('quotes, separators and line ends are kept, nothing is an empty cell', () => {
  expect(printCsv(['a', 'b'], [['x,"y"\n', null]])).toBe('a,b\r\n"x,""y""\n",\r\n')
})
