import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { benchAccept } from './accept.ts'
import { benchBoards } from './boards.ts'
import { benchDistributed } from './distributed.ts'
import { benchEndToEnd } from './end-to-end.ts'
import { benchLogToStore } from './log-to-store.ts'
import type { Row } from './row.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    /** Everything short: for a look, not for a figure. */
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
})
const { quick } = values
const parts: Readonly<Record<string, () => Promise<Row[]>>> = {
  accept: () => benchAccept(quick ? { rounds: 3, seconds: 2 } : { rounds: 7, seconds: 4 }),
  'log-to-store': () => benchLogToStore(quick ? 3 : 7),
  'end-to-end': () =>
    benchEndToEnd(quick ? { seconds: 10, sustainedSeconds: 20 } : { seconds: 120, sustainedSeconds: 600 }),
  distributed: () =>
    benchDistributed(quick ? { events: 60_000, seconds: 15, rounds: 3 } : { events: 300_000, seconds: 120, rounds: 7 }),
  boards: () => benchBoards(quick ? 1_000_000 : 10_000_000),
}
if (values.only !== undefined && !(values.only in parts))
  throw new Error(`--only takes one of ${Object.keys(parts).join(', ')}.`)
const rows: Row[] = []
for (const [name, measure] of Object.entries(parts)) {
  // That one needs servers beside Node: it is measured when it is named.
  if (values.only === undefined ? name === 'distributed' : values.only !== name) continue
  console.error(`measuring ${name} …`)
  for (const row of await measure()) {
    rows.push(row)
    const { value, unit, target, held, note } = row
    console.log(
      `${target === '–' ? '      ' : held ? 'held  ' : 'MISSED'}  ${value.toFixed(2).padStart(10)} ${unit.padEnd(2)}  ${target.padEnd(8)}  ${row.name}${note ? ` (${note})` : ''}`,
    )
  }
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`)
process.exit(0)
