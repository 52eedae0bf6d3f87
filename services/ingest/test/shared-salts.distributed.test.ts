import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { shiftDay } from '@footfall/enrichment/local-time'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startRedis, type RedisServer } from '../../../test/servers/redis.ts'
import { openSalts, type Salts } from '../src/salts.ts'
import { openSharedSalts, type SharedSalts } from '../src/shared-salts.ts'

const withoutDisk = { appendonly: 'no', save: '' }
let redis: RedisServer
let directory: string
let day: string
let problems: string[]
const opened: SharedSalts[] = []
beforeAll(async () => {
  redis = await startRedis(withoutDisk)
})
afterAll(() => redis.stop())
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'footfall-shared-salts-'))
  day = new Date().toISOString().slice(0, 10)
  problems = []
  await redis.send('FLUSHALL')
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((shared) => shared.close()))
  await rm(directory, { recursive: true, force: true })
})

/** An ingest's salts: `turn` is its tick. */
function ingest(name: string, options: { settleMs?: number; url?: string } = {}) {
  const shared = openSharedSalts(options.url ?? redis.url, {
    onProblem: (problem) => problems.push(problem),
    settleMs: options.settleMs ?? 0,
  })
  opened.push(shared)
  const salts: Salts = openSalts(join(directory, `${name}.json`), shared.offer)
  const turn = async (today: string, isNew = false): Promise<void> => {
    const deployments = [{ id: 'a', today, isNew }]
    const now = Date.parse(`${today}T12:00:00Z`)
    salts.turn(deployments, now)
    await shared.exchange(salts, deployments)
    salts.turn(deployments, now)
  }
  return { salts, turn }
}

describe('salts of several ingests', () => {
  test('are the same for all, whoever was first, and for each day another', async () => {
    const [one, two] = [ingest('one'), ingest('two')]
    // Whoever asks in the very millisecond in which the other begins a life of the Redis has its turn a tick later.
    for (let tick = 0; tick < 2; tick++) await Promise.all([one.turn(day, true), two.turn(day, true)])
    const tomorrow = shiftDay(day, 1)
    expect(one.salts.get('a', day)).toMatch(/^[0-9a-f]{64}$/)
    expect(two.salts.get('a', day)).toBe(one.salts.get('a', day))
    expect(two.salts.get('a', tomorrow)).toBe(one.salts.get('a', tomorrow))
    expect(one.salts.get('a', tomorrow)).not.toBe(one.salts.get('a', day))
  })

  test('are made a day ahead and never for a day that somebody may have begun', async () => {
    const one = ingest('one')
    await one.turn(day)
    expect(one.salts.get('a', day)).toBeNull()
    expect(one.salts.get('a', shiftDay(day, 1))).not.toBeNull()
  })

  test('are told by who holds them to a Redis that lost them, and to an ingest that comes new', async () => {
    const one = ingest('one')
    await one.turn(day, true)
    const salt = one.salts.get('a', day)
    await redis.send('FLUSHALL')
    const late = ingest('late', { settleMs: 60_000 })
    await late.turn(day, true)
    expect([late.salts.get('a', day), late.salts.get('a', shiftDay(day, 1))]).toEqual([null, null])
    await one.turn(day, true)
    await late.turn(day, true)
    expect(late.salts.get('a', day)).toBe(salt)
    expect(problems).toEqual([])
  })

  test('are told again to a Redis that refused them, and none is made there in their place', async () => {
    const one = ingest('one')
    await one.turn(day, true)
    const [salt, next] = [one.salts.get('a', day), one.salts.get('a', shiftDay(day, 1))]
    await redis.send('FLUSHALL')
    await redis.send('ACL', 'SETUSER', 'default', 'resetkeys', '~footfall:salts:*', '%R~footfall:salt:*')
    await one.turn(day, true)
    await redis.send('ACL', 'SETUSER', 'default', 'allkeys')
    await one.turn(day, true)
    const late = ingest('late', { settleMs: 60_000 })
    await late.turn(day, true)
    expect([late.salts.get('a', day), late.salts.get('a', shiftDay(day, 1))]).toEqual([salt, next])
    expect(problems).toEqual([expect.stringContaining('salts are not shared for now')])
  })

  test('are one again before their day when an ingest was cut off while others made new ones', async () => {
    const cutOff = ingest('one')
    await cutOff.turn(day, true)
    await redis.send('FLUSHALL')
    const late = ingest('late')
    await late.turn(day)
    await cutOff.turn(day)
    await late.turn(day)
    const tomorrow = shiftDay(day, 1)
    expect(late.salts.get('a', tomorrow)).not.toBeNull()
    expect(cutOff.salts.get('a', tomorrow)).toBe(late.salts.get('a', tomorrow))
    expect(late.salts.get('a', day)).toBe(cutOff.salts.get('a', day))
    expect(problems).toEqual([])
  })

  test('go on from the file while the Redis is away, and none is made then', async () => {
    const one = ingest('one')
    await one.turn(day, true)
    const salt = one.salts.get('a', day)
    await redis.kill()
    const again = ingest('one')
    await again.turn(day)
    const other = ingest('other')
    await other.turn(day, true)
    expect(again.salts.get('a', day)).toBe(salt)
    expect(other.salts.get('a', day)).toBeNull()
    expect(problems.filter((problem) => problem.includes('not shared for now'))).toHaveLength(2)
    await redis.restart()
  })

  test('are gone from the Redis at the end of the next day', async () => {
    const one = ingest('one')
    await one.turn(day, true)
    await one.turn(shiftDay(day, 1))
    expect(await redis.send('KEYS', '*')).toContain(`:${day}:`)
    await one.turn(shiftDay(day, 2))
    expect(await redis.send('KEYS', '*')).not.toContain(`:${day}:`)
    expect(await redis.send('KEYS', '*')).toContain(`:${shiftDay(day, 3)}:`)
    const expiry = await redis.send('PEXPIRETIME', `footfall:salt:${shiftDay(day, 2)}:a`)
    expect(Number.parseInt(expiry.slice(1))).toBe(Date.parse(`${shiftDay(day, 4)}T12:00:00Z`))
  })

  test('are not given to a Redis that writes to its disk', async () => {
    const keeping = await startRedis({ save: '3600 1' })
    const one = ingest('one', { url: keeping.url })
    await expect(one.turn(day, true)).rejects.toMatchObject({ code: 'CONFLICT' })
    await expect(one.turn(day, true)).rejects.toThrow('set appendonly to no and set save to ""')
    expect(await keeping.send('DBSIZE')).toBe(':0\r\n+OK\r\n')
    await keeping.stop()
  })
})
