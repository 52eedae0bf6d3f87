import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { runDistributedMatrix } from './distributed-matrix.ts'
import { printResult } from './print-result.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    sleeps: { type: 'string', default: '20' },
    lost: { type: 'string', default: '20' },
    rebalances: { type: 'string', default: '20' },
    twins: { type: 'string', default: '200' },
    'away-seconds': { type: 'string', default: '120' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    json: { type: 'string' },
  },
})
const count = (name: Exclude<keyof typeof values, 'json'>): number => {
  const value = Number(values[name])
  if (!Number.isSafeInteger(value) || value < 0)
    throw new Error(`--${name} must be a whole number, not ${values[name]}`)
  return value
}

console.log(`seed ${values.seed}`)
const result = await runDistributedMatrix({
  kills: count('kills'),
  sleeps: count('sleeps'),
  lost: count('lost'),
  rebalances: count('rebalances'),
  twins: count('twins'),
  awaySeconds: count('away-seconds'),
  seed: count('seed'),
  say: (line) => console.log(line),
})
if (values.json) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`)
printResult(result, 'a service')
process.exitCode = result.clean ? 0 : 1
