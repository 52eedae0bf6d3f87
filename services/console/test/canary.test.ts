import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { openRegistry } from '@footfall/registry/registry'
import { openStore } from '@footfall/store/open'
import { createLogger } from '@footfall/telemetry/logger'
import { createMetrics } from '@footfall/telemetry/metrics'
import { expect, test } from 'vitest'
import { createPassingTime } from '../../../test/passing-time.ts'
import { canaryId, startCanary } from '../src/canary.ts'

// Port 9 is that of `discard`: nobody listens.
const nowhere = 'http://127.0.0.1:9'

test('an empty registry stays empty; with the first deployment the canary has its own, and says that it cannot be sent', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'footfall-canary-'))
  const log = await openEmbeddedEventLog({ directory: join(directory, 'log'), minFreeBytes: 0 })
  const registry = await openRegistry({ log, snapshotFile: join(directory, 'registry.json') })
  const metrics = createMetrics()
  const time = createPassingTime()
  const store = openStore({ url: `${nowhere}/footfall`, user: 'default', password: '' })
  const canary = startCanary({
    url: nowhere,
    registry,
    store,
    metrics,
    logger: createLogger('silent'),
    now: () => 1_700_000_000_000,
    wait: time.wait,
  })
  const shown = async (): Promise<string[]> =>
    (await metrics.registry.metrics()).split('\n').filter((line) => /^footfall_canary_(seen|failures)/.test(line))

  await time.reached(60_000)
  expect([registry.revision(), await shown()]).toEqual([0, []])

  await registry.apply(
    {
      organisations: [{ id: 'city', name: 'City', type: 'city', country: 'FI' }],
      apps: [{ id: 'app', name: 'App' }],
      deployments: [{ id: 'app', app: 'app', organisation: 'city', time_zone: 'UTC', origins: [], mode: 'exempt' }],
    },
    { actor: 'test' },
  )
  for (const failures of [1, 2]) {
    await time.pass(60_000)
    await time.reached(60_000)
    // Never seen is 1970: an alert tells.
    expect(await shown()).toEqual([
      'footfall_canary_seen_timestamp_seconds 0',
      `footfall_canary_failures_total{step="send"} ${failures}`,
    ])
    // Registered once.
    expect(registry.revision()).toBe(2)
  }
  expect(registry.deployment(canaryId)).toMatchObject({ environment: 'test', organisation: 'footfall' })

  await canary.close()
  await registry.close()
  await log.close()
  await store.close()
  await rm(directory, { recursive: true, force: true })
})
