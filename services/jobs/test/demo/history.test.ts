import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { demoCatalogue } from '../../src/demo/catalogue.ts'
import { planHistory, saveHistory } from '../../src/demo/history.ts'

describe('the history of a demo directory', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'footfall-demo-'))
  })
  afterAll(() => rm(directory, { recursive: true }))

  test('is the one that was asked for, and a later start makes only the days since, with the same programme', async () => {
    const first = await planHistory(directory, { seed: '7', days: '30' }, '2026-03-10')
    expect(first).toMatchObject({
      payload: { seed: 7, scale: 1, end: '2026-03-10', from: '2026-02-09', until: '2026-03-10' },
    })
    // Before its events are known to be in, a start makes them again.
    await saveHistory(directory, first.history)
    expect(await planHistory(directory, {}, '2026-03-10')).toMatchObject({ payload: first.payload })
    await saveHistory(directory, { ...first.history, until: first.payload.until })
    const later = await planHistory(directory, { seed: '7' }, '2026-04-20')
    expect(later.payload).toEqual({ ...first.payload, from: '2026-03-11', until: '2026-04-20' })
    expect(demoCatalogue(later.history.end)).toEqual(demoCatalogue('2026-03-10'))
  })

  test.each([{ seed: '2' }, { days: '60' }, { scale: '0.5' }])('refuses another one on top: %o', async (asked) => {
    await expect(planHistory(directory, asked, '2026-04-20')).rejects.toThrow(
      'holds the history of --seed 7 --days 30 --scale 1',
    )
  })

  test('says which option is no number', async () => {
    await expect(planHistory(join(directory, 'new'), { seed: 'one' }, '2026-04-20')).rejects.toThrow('seed')
  })
})
