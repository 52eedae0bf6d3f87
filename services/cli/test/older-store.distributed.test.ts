import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findRoot } from '@footfall/config/root'
import { openStore } from '@footfall/store/open'
import { expect, test } from 'vitest'
import { makeOlder, migrationIds } from '../../../test/servers/older-store.ts'
import { ready, startService, type RunningService, type ServiceName } from '../../../test/servers/footfall.ts'
import { startKafka } from '../../../test/servers/kafka.ts'
import { startRedis } from '../../../test/servers/redis.ts'

test('consumer and jobs wait for "footfall migrate" on an older store, say so, and then go on by themselves', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'footfall-older-'))
  const [kafka, redis] = await Promise.all([startKafka({ brokers: 1 }), startRedis({})])
  const services: RunningService[] = []
  const start = async (name: ServiceName, environment: Record<string, string>): Promise<RunningService> => {
    const service = await startService(name, environment, { directory })
    services.push(service)
    return service
  }
  try {
    const server = await start('embedded-clickhouse', { STORE_PASSWORD: 'older' })
    const environment = {
      EVENT_LOG_URL: kafka.url,
      KAFKA_REPLICAS: '1',
      KAFKA_PARTITIONS: '2',
      JOB_QUEUE_URL: redis.url,
      STORE_URL: `${server.url.replace('//', '//default:older@')}/footfall`,
      IMPORT_SECRETS_FILE: join(directory, 'import-secrets.json'),
    }
    const migrate = () =>
      promisify(execFile)(process.execPath, [join(findRoot(), 'dist/footfall.js'), 'migrate'], {
        env: { PATH: process.env.PATH, ...environment },
      })
    await migrate()
    const store = openStore({ url: `${server.url}/footfall`, user: 'default', password: 'older' })
    await makeOlder(store)
    await store.close()
    const waiting = [await start('consumer', environment), await start('jobs', environment)]
    for (const { url } of waiting) {
      let said = ''
      while (!said.includes('footfall migrate')) said = await (await fetch(`${url}/readyz`)).text()
      expect(said).toContain(migrationIds.at(-1))
    }
    await migrate()
    for (const service of waiting) await ready(service)
  } finally {
    for (const service of services.reverse()) await service.stop()
    await Promise.all([kafka.stop(), redis.stop()])
    await rm(directory, { recursive: true, force: true })
  }
})
