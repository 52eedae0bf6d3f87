import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { expect, test } from 'vitest'

const lock = JSON.parse(readFileSync(join(findRoot(), 'package-lock.json'), 'utf8')) as {
  packages: Record<string, { resolved?: string; optionalDependencies?: Record<string, string> }>
}

// npm drops what another platform needs when it writes the file beside an installed node_modules.
test.each(['chdb', 'esbuild'])('%s is locked for every platform it runs on', (name) => {
  const wanted = Object.keys(lock.packages[`node_modules/${name}`]!.optionalDependencies!)
  expect(wanted.length).toBeGreaterThan(3)
  expect(wanted.filter((dependency) => !(`node_modules/${dependency}` in lock.packages))).toEqual([])
})

test('no package is tied to the host it was fetched from', () => {
  expect(Object.values(lock.packages).filter(({ resolved }) => resolved?.startsWith('http'))).toEqual([])
})
