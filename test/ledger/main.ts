import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { runMatrix } from './matrix.ts'

const { values } = parseArgs({
  options: {
    'kills-main': { type: 'string', default: '200' },
    'kills-store': { type: 'string', default: '50' },
    drains: { type: 'string', default: '20' },
    'disk-full': { type: 'string', default: '2' },
    restores: { type: 'string', default: '4' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    json: { type: 'string' },
  },
})
console.log(`seed ${values.seed}`)
const results = await runMatrix({
  killsMain: Number(values['kills-main']),
  killsStore: Number(values['kills-store']),
  drains: Number(values.drains),
  diskFull: Number(values['disk-full']),
  restores: Number(values.restores),
  seed: Number(values.seed),
  say: (line) => console.log(line),
})
if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)
const wrong = results.filter(({ clean }) => !clean)
console.log(wrong.length === 0 ? 'Every acknowledged event is there exactly once; folds are what the events say.' : `WRONG in ${wrong.length} of ${results.length} scenarios.`)
process.exit(wrong.length === 0 ? 0 : 1)
