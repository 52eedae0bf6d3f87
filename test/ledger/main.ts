import { writeFileSync } from 'node:fs'
import { readCounts } from './counts.ts'
import { runMatrix } from './matrix.ts'
import { printResult } from './print-result.ts'

const { counts, seed, json } = readCounts({
  'kills-main': 200,
  'kills-store': 50,
  drains: 20,
  'disk-full': 4,
  restores: 6,
})
console.log(`seed ${seed}`)
const result = await runMatrix({
  killsMain: counts['kills-main'],
  killsStore: counts['kills-store'],
  drains: counts.drains,
  diskFull: counts['disk-full'],
  restores: counts.restores,
  seed,
  say: (line) => console.log(line),
})
if (json) writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`)
printResult(result, 'the process')
process.exitCode = result.clean ? 0 : 1
