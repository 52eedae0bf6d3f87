import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openConfiguredEngine, type ConfiguredEngine } from './configured-engine.ts'

let engine: ConfiguredEngine

test.each(['', 'a password in clear'])('nothing starts while a password hash is missing: "%s"', (hash) => {
  expect(() => openConfiguredEngine('default', hash)).toThrow('Failed to create connection')
})

describe('the profile of the boards', () => {
  beforeAll(() => {
    engine = openConfiguredEngine('footfall_boards')
  })
  afterAll(() => engine.close())

  test('bounds what a query may take', async () => {
    const names = ['readonly', 'max_execution_time', 'max_memory_usage', 'max_memory_usage_for_user', 'max_result_rows']
    const [row] = await engine.query(
      `SELECT ${names.map((name) => `toString(getSetting('${name}')) AS ${name}`).join()}`,
    )
    expect(row).toEqual({
      readonly: '1',
      max_execution_time: '30',
      max_memory_usage: '1000000000',
      max_memory_usage_for_user: '2000000000',
      max_result_rows: '100000',
    })
  })

  test.each([
    // Granted to a role that the engine's one user has here.
    ['CREATE DATABASE footfall', /READONLY/],
    ['SELECT 1 SETTINGS max_memory_usage = 0', /READONLY/],
    ['SET readonly = 0', /READONLY/],
    ["SET profile = 'footfall_writer'", /READONLY/],
    ['SELECT number FROM numbers(200000)', /TOO_MANY_ROWS_OR_BYTES/],
  ])('refuses: %s', async (sql, why) => {
    await expect(engine.query(sql)).rejects.toThrow(why)
  })
})

describe('the profile of the console', () => {
  beforeAll(() => {
    engine = openConfiguredEngine('footfall_console')
  })
  afterAll(() => engine.close())

  test('takes what the store pins with every query', async () => {
    const pinned =
      "async_insert = 0, join_use_nulls = 0, mutations_sync = 2, date_time_input_format = 'best_effort', max_execution_time = 30"
    await expect(engine.query(`SELECT 1 AS one SETTINGS ${pinned}`)).resolves.toEqual([{ one: 1 }])
  })

  test.each([
    ['CREATE DATABASE footfall', /READONLY/],
    ['SELECT 1 SETTINGS max_memory_usage = 2000000000', /SETTING_CONSTRAINT_VIOLATION/],
    ['SELECT 1 SETTINGS max_memory_usage = 0', /SETTING_CONSTRAINT_VIOLATION/],
    ['SELECT 1 SETTINGS max_execution_time = 0', /SETTING_CONSTRAINT_VIOLATION/],
    ['SELECT 1 SETTINGS max_memory_usage_for_user = 0', /SETTING_CONSTRAINT_VIOLATION/],
    ['SELECT 1 SETTINGS readonly = 0', /READONLY/],
  ])('refuses: %s', async (sql, why) => {
    await expect(engine.query(sql)).rejects.toThrow(why)
  })
})
