import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { runMatrix } from './matrix.ts'
import { printResult } from './print-result.ts'

const { values } = parseArgs({
  options: {
    'kills-main': { type: 'string', default: '200' },
    'kills-store': { type: 'string', default: '50' },
    drains: { type: 'string', default: '20' },
    'disk-full': { type: 'string', default: '4' },
    restores: { type: 'string', default: '6' },
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
const result = await runMatrix({
  killsMain: count('kills-main'),
  killsStore: count('kills-store'),
  drains: count('drains'),
  diskFull: count('disk-full'),
  restores: count('restores'),
  seed: count('seed'),
  say: (line) => console.log(line),
})
if (values.json) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`)

printResult(result, 'the process')
process.exitCode = result.clean ? 0 : 1
