import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { shiftDay } from '@footfall/enrichment/local-time'
import { build } from 'esbuild'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openSalts, type Salts } from '../src/salts.ts'

let directory: string
let file: string
let made = 0
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'footfall-salts-'))
})
beforeEach(() => {
  file = join(directory, `salts-${++made}.json`)
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const day = '2026-03-10'
/** At noon of a day, in UTC. */
const turn = (salts: Salts, today: string, ids: readonly string[] = ['a'], isNew = false): void =>
  salts.turn(
    ids.map((id) => ({ id, today, isNew })),
    Date.parse(`${today}T12:00:00Z`),
  )
const opened = (): Salts => {
  const salts = openSalts(file)
  turn(salts, day, ['a'], true)
  return salts
}

describe('the salts of a deployment', () => {
  test('are there for yesterday, today and tomorrow, and the same after a restart', () => {
    const salts = opened()
    turn(salts, shiftDay(day, 1))
    const days = [day, shiftDay(day, 1), shiftDay(day, 2)]
    const held = days.map((one) => salts.get('a', one))
    expect(new Set(held).size).toBe(3)
    expect(held).not.toContain(null)
    const again = openSalts(file)
    turn(again, shiftDay(day, 1))
    expect(days.map((one) => again.get('a', one))).toEqual(held)
  })

  test('are gone from memory and disk at the end of the next day, and the file is for us alone', async () => {
    const salts = opened()
    const salt = salts.get('a', day)!
    turn(salts, shiftDay(day, 1))
    expect(await readFile(file, 'utf8')).toContain(salt)
    turn(salts, shiftDay(day, 2))
    expect(salts.get('a', day)).toBeNull()
    expect(await readFile(file, 'utf8')).not.toContain(salt)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  test('stay the same when it is retired and registered again on that day, also over a restart', () => {
    const salts = opened()
    const salt = salts.get('a', day)
    turn(salts, day, [])
    turn(salts, day)
    expect(salts.get('a', day)).toBe(salt)
    turn(salts, day, [])
    const again = openSalts(file)
    turn(again, day, [])
    turn(again, day)
    expect(again.get('a', day)).toBe(salt)
  })

  test('are gone at the end of the next day when it was retired, wherever it was', async () => {
    const salts = opened()
    const salt = salts.get('a', day)!
    // Kiritimati is first: its 12th of March begins at ten on the 11th, in UTC.
    salts.turn([], Date.parse(`${shiftDay(day, 1)}T09:59:59Z`))
    expect(salts.get('a', day)).toBe(salt)
    salts.turn([], Date.parse(`${shiftDay(day, 1)}T10:00:00Z`))
    expect(salts.get('a', day)).toBeNull()
    expect(await readFile(file, 'utf8')).not.toContain(salt)
    turn(salts, day)
    expect(salts.get('a', day)).toBeNull()
  })

  test('are not made a second time when the clock goes ten days forward and comes back', () => {
    const salts = opened()
    turn(salts, shiftDay(day, 10))
    expect(salts.get('a', shiftDay(day, 10))).not.toBeNull()
    turn(salts, day)
    turn(openSalts(file), day)
    expect([salts.get('a', day), salts.get('a', shiftDay(day, 1))]).toEqual([null, null])
    turn(salts, shiftDay(day, 1))
    const next = salts.get('a', shiftDay(day, 2))
    expect(next).not.toBeNull()
    turn(salts, shiftDay(day, 2))
    expect(salts.get('a', shiftDay(day, 2))).toBe(next)
  })

  test('are not made for a day that a zone change repeats', () => {
    const salts = opened()
    turn(salts, shiftDay(day, 1))
    const salt = salts.get('a', day)
    turn(salts, day)
    expect(salts.get('a', day)).toBe(salt)
  })

  test.each([
    ['lost', async () => rm(file)],
    ['cut', async () => writeFile(file, (await readFile(file, 'utf8')).slice(0, 80))],
  ])('are not made for today when the file was %s, also not after the next restart', async (_what, harm) => {
    opened()
    await harm()
    for (let start = 0; start < 2; start++) {
      const salts = openSalts(file)
      turn(salts, day)
      expect(salts.get('a', day)).toBeNull()
      expect(salts.get('a', shiftDay(day, 1))).not.toBeNull()
    }
  })

  test('that the file had are not made again for one registered on the day the file was cut', async () => {
    opened()
    await writeFile(file, '{')
    const salts = openSalts(file)
    turn(salts, day, ['a'], true)
    expect(salts.get('a', day)).toBeNull()
    turn(salts, day, ['a', 'b'], true)
    expect(salts.get('b', day)).not.toBeNull()
  })
})

test('on a disk that fills up in the middle of the file the old salts stay, and no half file', async () => {
  const script = join(directory, 'turn.mjs')
  await build({
    stdin: {
      contents: `
        import { openSalts } from './salts.ts'
        const salts = openSalts(process.argv[2])
        const turn = (count) => salts.turn(Array.from({ length: count }, (_, n) => ({ id: 'd' + n, today: '${day}', isNew: true })), 0)
        turn(2)
        const held = salts.get('d0', '${day}')
        let code = ''
        try { turn(400) } catch (error) { code = error.code }
        console.log(JSON.stringify({ code, same: salts.get('d0', '${day}') === held, other: salts.get('d399', '${day}') }))
      `,
      resolveDir: join(import.meta.dirname, '../src'),
      loader: 'ts',
    },
    bundle: true,
    format: 'esm',
    platform: 'node',
    outfile: script,
    logLevel: 'error',
  })
  // No file may grow past some KiB: as on a full disk, a write is cut short, and the rest of it fails.
  const { stdout, stderr } = spawnSync('sh', ['-c', 'ulimit -f 16; exec "$@"', 'sh', process.execPath, script, file])
  expect(stderr.toString()).toBe('')
  expect(JSON.parse(stdout.toString())).toEqual({ code: 'EFBIG', same: true, other: null })
  expect(Object.keys((JSON.parse(await readFile(file, 'utf8')) as { deployments: object }).deployments)).toHaveLength(2)
  expect((await readdir(directory)).filter((name) => name.endsWith('.new'))).toEqual([])
})
