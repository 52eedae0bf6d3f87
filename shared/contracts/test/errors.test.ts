import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { expect, test } from 'vitest'
import { dropReasons, failReasons } from '../src/drop-reason.ts'
import { errorTable, PipelineError } from '../src/errors.ts'

const document = readFileSync(join(findRoot(), 'docs/errors.md'), 'utf8')
const documented = [...document.matchAll(/^\| `([^`]+)` *\| *(\w+)/gm)].map(([, code, second]) => [code, second])

test('every code is documented with its status or result, and nothing else is', () => {
  expect(documented).toEqual([
    ...Object.entries(errorTable).map(([code, { status }]) => [code, String(status)]),
    ...Object.entries(dropReasons).map(([code, { result }]) => [code, result]),
    ...Object.entries(failReasons).map(([reason]) => [reason, expect.anything() as unknown]),
  ])
})

test('an error answers with its code, a message and what to do', () => {
  const { error } = new PipelineError('LOG_FULL', 'Budget of 8 GB.').toBody()
  expect(error).toMatchObject({ code: 'LOG_FULL', hint: errorTable.LOG_FULL.hint })
  expect(error.message).toContain('8 GB')
})
