import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { expect, test } from 'vitest'

const catalogue = `
organisations: [{ id: my-city, name: My city, type: city, country: DE }]
apps: [{ id: potholes, name: Potholes }]
deployments:
  - { id: potholes-my-city, app: potholes, organisation: my-city, name: Potholes, time_zone: Europe/Berlin,
      origins: [https://app.example], mode: exempt }
`

test('a catalogue is read from standard input, as a container has no file of the operator’s', () => {
  const directory = mkdtempSync(join(tmpdir(), 'footfall-registry-'))
  const apply = () =>
    spawnSync(process.execPath, [join(findRoot(), 'dist/footfall.js'), 'registry', 'apply', '-'], {
      env: { ...process.env, DATA_DIR: directory },
      input: catalogue,
      encoding: 'utf8',
    })
  try {
    expect(apply()).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^Revision 1: .*\nKey of potholes-my-city: pk_/) as string,
    })
    expect(apply()).toMatchObject({ status: 0, stdout: 'Revision 1: 0 changed, 3 as they were.\n' })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
