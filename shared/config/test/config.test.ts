import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ConfigError, printExample, readConfig } from '../src/config.ts'
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
