import { writeFileSync } from 'node:fs'
import { readCounts } from './counts.ts'
import { runDistributedMatrix } from './distributed-matrix.ts'
import { printResult } from './print-result.ts'

const { counts, seed, json } = readCounts({
  kills: 20,
  sleeps: 20,
  lost: 20,
  rebalances: 20,
  twins: 200,
  'away-seconds': 120,
})
console.log(`seed ${seed}`)
const { 'away-seconds': awaySeconds, ...times } = counts
const result = await runDistributedMatrix({ ...times, awaySeconds, seed, say: (line) => console.log(line) })
if (json) writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`)
printResult(result, 'a service')
process.exitCode = result.clean ? 0 : 1
