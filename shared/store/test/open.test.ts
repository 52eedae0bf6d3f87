import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStore } from '../src/open.ts'
import { startTestEngine, type TestEngine } from './engine.ts'

let engine: TestEngine
beforeAll(async () => {
  engine = await startTestEngine()
})
afterAll(() => engine.close())

test('a command outlasts the time that a query has: backups and deletions of a grown store do', async () => {
  const { url, user, password } = engine.engine
  const store = openStore({ url, user, password, requestTimeoutMs: 200 })
  try {
    await store.command('CREATE TABLE IF NOT EXISTS slow (n UInt8) ENGINE = Memory')
    await expect(store.query('SELECT sleep(1)')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await store.command('INSERT INTO slow SELECT sleep(1)')
    expect(await store.query('SELECT n FROM slow')).toEqual([{ n: 0 }])
  } finally {
    await store.close()
  }
})
