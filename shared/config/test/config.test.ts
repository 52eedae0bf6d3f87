import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ConfigError, printExample, readConfig, variableNames } from '../src/config.ts'
import { findRoot } from '../src/root.ts'

describe('the environment', () => {
  test('has defaults for everything, below DATA_DIR', () => {
    const config = readConfig({ DATA_DIR: '/srv/footfall' })
    expect(config.PORT).toBe(8080)
    expect(config.eventLogUrl).toBe('file:/srv/footfall/log')
    expect(config.storeUrl).toBe('embedded:/srv/footfall/store')
    expect(config.adminTokenFile).toBe('/srv/footfall/admin-token')
  })

  test('treats an empty variable as unset', () => {
    expect(readConfig({ PORT: '' }).PORT).toBe(8080)
  })

  test('lets batches fill for longer on Kafka, unless it says how long', () => {
    expect(readConfig({}).flushIntervalMs).toBe(1_000)
    expect(readConfig({ EVENT_LOG_URL: 'kafka://broker:9092' }).flushIntervalMs).toBe(2_000)
    expect(readConfig({ EVENT_LOG_URL: 'kafka://broker:9092', FLUSH_INTERVAL_MS: '50' }).flushIntervalMs).toBe(50)
    expect(() => readConfig({ FLUSH_INTERVAL_MS: '5' })).toThrow('FLUSH_INTERVAL_MS')
    expect(() => readConfig({ FLUSH_INTERVAL_MS: '1s' })).toThrow('must be a whole number')
  })

  test('prints every mistake at once, with the name of the variable', () => {
    const read = () =>
      readConfig({
        PORT: '99999',
        PUBLIC_URL: 'nowhere',
        TRUSTED_PROXIES: '10.0.0.0/99',
        EVENT_LOG_URL: 'mysql://x',
        ADMIN_TOKEN: 'short',
      })
    expect(read).toThrow(ConfigError)
    for (const name of ['PORT', 'PUBLIC_URL', 'TRUSTED_PROXIES', 'EVENT_LOG_URL', 'ADMIN_TOKEN'])
      expect(read).toThrow(name)
  })

  test('is frozen', () => {
    expect(Object.isFrozen(readConfig({}))).toBe(true)
  })

  test('is what .env.example says', () => {
    expect(readFileSync(join(findRoot(), '.env.example'), 'utf8')).toBe(printExample())
  })
})

describe('a secret', () => {
  const names = ['STORE_URL', 'JOB_QUEUE_URL', 'SALT_REDIS_URL', 'KAFKA_PASSWORD', 'STORE_PASSWORD'] as const
  const url = 'redis://:hunter2@redis:6379/0'
  let directory: string
  const fileWith = (content: string): string => {
    const file = join(directory, 'secret')
    writeFileSync(file, content)
    return file
  }
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'footfall-config-'))
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test.each(names)('may come from a file, without the line break at its end: %s', (name) => {
    const value = name === 'STORE_URL' ? 'http://writer:hunter2@clickhouse:8123/footfall' : url
    expect(readConfig({ [`${name}_FILE`]: fileWith(`${value}\n`) })[name]).toBe(value)
    expect(readConfig({ [`${name}_FILE`]: '', [name]: value })[name]).toBe(value)
    expect(variableNames).toContain(`${name}_FILE`)
  })

  test.each(names)('that comes twice is a mistake: %s', (name) => {
    expect(() => readConfig({ [name]: url, [`${name}_FILE`]: fileWith(url) })).toThrow(
      `${name} and ${name}_FILE are both set`,
    )
  })

  test.each(names)('whose file cannot be read, or holds nothing, is a mistake that names it: %s', (name) => {
    expect(() => readConfig({ [`${name}_FILE`]: join(directory, 'none') })).toThrow(
      `${name}_FILE: ${join(directory, 'none')} cannot be read (ENOENT)`,
    )
    expect(() => readConfig({ [`${name}_FILE`]: fileWith('\n') })).toThrow('is empty')
  })

  test('is never repeated in a mistake', () => {
    const wrong = fileWith('mysql://hunter2')
    expect(() => readConfig({ STORE_URL_FILE: wrong })).toThrow('STORE_URL: must start with')
    expect(() => readConfig({ STORE_URL_FILE: wrong })).not.toThrow('hunter2')
  })

  test('other than these comes from the environment alone: ADMIN_TOKEN_FILE is the file that the first start writes', () => {
    const file = join(directory, 'admin-token')
    expect(readConfig({ ADMIN_TOKEN_FILE: file })).toMatchObject({ adminTokenFile: file, ADMIN_TOKEN: null })
  })
})
