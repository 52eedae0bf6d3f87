import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { benchAccept } from './accept.ts'
import { benchEndToEnd } from './end-to-end.ts'
import type { Row } from './row.ts'

const { values } = parseArgs({ options: { json: { type: 'string' }, seconds: { type: 'string', default: '8' } } })
const seconds = Number(values.seconds)
const rows: Row[] = [...(await benchAccept(seconds)), ...(await benchEndToEnd(seconds))]
const width = Math.max(...rows.map(({ name }) => name.length))
for (const { name, value, unit, target, held } of rows) {
  console.log(
    `${held ? 'held  ' : 'MISSED'}  ${name.padEnd(width)}  ${value.toFixed(2).padStart(10)} ${unit}  (target ${target})`,
  )
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`)
process.exit(0)
