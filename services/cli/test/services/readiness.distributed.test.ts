import { afterAll, beforeAll, expect, test } from 'vitest'
import { startInstallation, type Installation } from '../../../../test/servers/distributed.ts'
import type { RunningService } from '../../../../test/servers/footfall.ts'

let installation: Installation
beforeAll(async () => {
  installation = await startInstallation({ adminToken: 'readiness-test-token-0000' })
}, 240_000)
afterAll(() => installation.close(), 60_000)

/** What a service says of its parts, itself among them. */
async function gauges({ url }: RunningService): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Object.fromEntries(
    [...text.matchAll(/^footfall_ready\{part="(.+)"\} (.+)$/gm)].map(([, part, value]) => [part!, Number(value)]),
  )
}
/** Resolves once a part of a service is so. */
async function part(service: RunningService, name: string, value: 0 | 1): Promise<void> {
  while ((await gauges(service))[name] !== value) await new Promise((resolve) => setImmediate(resolve))
}
const readyz = async ({ url }: RunningService): Promise<[number, string]> => {
  const response = await fetch(`${url}/readyz`)
  return [response.status, await response.text()]
}

test('without the Redis of the jobs, jobs are not ready and say why, the console answers on, and both come back', async () => {
  const { jobRedis, jobs, console } = installation
  await jobRedis.kill()
  await part(jobs[0]!, 'job-queue', 0)
  await part(console, 'job-queue', 0)
  expect(await readyz(jobs[0]!)).toEqual([503, expect.stringContaining('job-queue: ')])
  expect((await readyz(console))[0]).toBe(200)
  expect(await gauges(console)).toEqual({ service: 1, store: 1, log: 1, 'job-queue': 0 })
  await jobRedis.restart()
  await part(jobs[0]!, 'job-queue', 1)
  await part(console, 'job-queue', 1)
  expect((await readyz(jobs[0]!))[0]).toBe(200)
})

test('without the store, a consumer is not ready until it is back; ingest knows nothing of it', async () => {
  const { consumers, ingests, store } = installation
  await store.stop()
  await part(consumers[0]!, 'store', 0)
  expect(await readyz(consumers[0]!)).toEqual([503, expect.stringContaining('store: ')])
  expect(await gauges(ingests[0]!)).toEqual({ service: 1, log: 1, salts: 1 })
  await store.start()
  await part(consumers[0]!, 'store', 1)
  expect(await gauges(consumers[0]!)).toEqual({ service: 1, store: 1, log: 1 })
})

test('without Kafka and the Redis of the salts, ingest stays ready, and its gauges say what is away', async () => {
  const { kafka, saltRedis, ingests, consumers } = installation
  await saltRedis.kill()
  for (const broker of [1, 2, 3]) await kafka.kill(broker)
  await part(ingests[0]!, 'log', 0)
  await part(ingests[0]!, 'salts', 0)
  await part(consumers[0]!, 'log', 0)
  expect((await readyz(ingests[0]!))[0]).toBe(200)
  expect((await readyz(consumers[0]!))[0]).toBe(503)
  await Promise.all([1, 2, 3].map((broker) => kafka.start(broker)))
  await saltRedis.restart()
  await part(ingests[0]!, 'log', 1)
  await part(ingests[0]!, 'salts', 1)
  await part(consumers[0]!, 'log', 1)
  expect((await readyz(consumers[0]!))[0]).toBe(200)
})
