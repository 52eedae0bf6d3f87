import { readFileSync } from 'node:fs'
import { PipelineError } from '@footfall/contracts/errors'
import { expect, test } from 'vitest'
import { sayError } from '../src/say-error.ts'

test.each([
  {
    code: 'EACCES',
    syscall: 'open',
    path: '/data/admin-token',
    message: "EACCES: permission denied, open '/data/admin-token'",
  },
  { code: 'EROFS', syscall: 'open', path: '/app/log', message: "EROFS: read-only file system, open '/app/log'" },
  // What Node.js says when a directory was to be made in a file system that may not be written to.
  {
    code: 'ENOENT',
    syscall: 'mkdir',
    path: '/app/data',
    message: "ENOENT: no such file or directory, mkdir '/app/data'",
  },
])('$code at $syscall is a line that names the path and the user', ({ message, ...known }) => {
  expect(sayError(Object.assign(new Error(message), known))).toMatch(
    new RegExp(`^The system does not let user \\d+ .*${known.path}`),
  )
})

test('what was to be expected is its message, and a fault is all that is known of it', () => {
  expect(sayError(new PipelineError('CONFLICT', 'It is not empty.'))).toMatch(/It is not empty\.$/)
  let missing: unknown
  try {
    readFileSync('/nowhere/at/all')
  } catch (error) {
    missing = error
  }
  expect(sayError(missing)).toBe(missing)
})
