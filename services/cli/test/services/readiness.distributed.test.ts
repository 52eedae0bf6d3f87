import { afterAll, beforeAll, expect, test } from 'vitest'
import { catalogue, origin, targets } from '../../../../test/ledger/programme.ts'
import { newId } from '../../../../test/ledger/random.ts'
import { startInstallation, type Installation } from '../../../../test/servers/distributed.ts'
import { ready, type RunningService } from '../../../../test/servers/footfall.ts'
import { startProxy } from '../../../../test/servers/proxy.ts'

const token = 'readiness-test-token-0000'
let installation: Installation
beforeAll(async () => {
  installation = await startInstallation({
    adminToken: token,
    environment: {
      STOP_DELAY_MS: '3000',
      TRUSTED_PROXIES: '127.0.0.1',
      RATE_LIMIT_PER_KEY: '1000000',
      RATE_LIMIT_PER_ADDRESS: '1000000',
    },
  })
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

test.each(['nginx', 'caddy'] as const)(
  'everything is restarted one after the other behind %s, and no beacon is refused, lost or doubled',
  async (kind) => {
    const { console, ingests, consumers, jobs } = installation
    const portOf = ({ url }: RunningService): number => Number(new URL(url).port)
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const body = JSON.stringify({ catalogue })
    expect((await fetch(`${console.url}/api/v1/registry/apply`, { method: 'POST', headers, body })).status).toBe(200)
    const { deployment, key } = targets[0]!
    for (const { url } of ingests) while ((await fetch(`${url}/privacy/${deployment}`)).status !== 200);
    const ledger = async () =>
      (await (await fetch(`${console.url}/api/v1/ledger`, { headers })).json()) as Record<
        'accepted' | 'stored' | 'deduplicated' | 'in_log' | 'difference',
        number
      >
    const before = await ledger()
    const proxy = await startProxy(kind, {
      ingests: ingests.map(portOf),
      console: portOf(console),
      app: portOf(console),
    })
    const acceptedBy = async ({ url }: RunningService): Promise<number> =>
      Number(/^footfall_events_accepted_total (\d+)/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1] ?? 0)
    const answers: number[] = []
    let isOver = false
    const send = async (): Promise<void> => {
      while (!isOver) {
        const at = Date.now()
        const events = [{ id: newId(at, Math.random), name: 'page_view', at, url: `${origin}/` }]
        const answer = await fetch(`${proxy.own}/v1/events`, {
          method: 'POST',
          headers: { origin, 'content-type': 'text/plain', 'user-agent': 'Mozilla/5.0 Firefox/128.0' },
          body: JSON.stringify({ key, sent_at: at, events }),
        })
        answers.push(answer.status)
        await answer.text()
      }
    }
    const senders = [send(), send(), send()]
    for (const service of [...consumers, ...jobs, ...ingests]) {
      expect(await service.stop()).toBe(0)
      await service.start()
      await ready(service)
      // The proxy has noticed too, before the next one goes.
      if (ingests.includes(service)) while ((await acceptedBy(service)) === 0);
    }
    isOver = true
    await Promise.all(senders)
    await proxy.stop()
    expect(answers.filter((status) => status !== 202)).toEqual([])
    expect(answers.length).toBeGreaterThan(100)
    while ((await ledger()).in_log > 0);
    const { stored, difference, deduplicated } = await ledger()
    // nginx may send a beacon to the second ingest as well.
    expect(stored - before.stored).toBe(answers.length)
    expect([difference, kind === 'caddy' ? deduplicated - before.deduplicated : 0]).toEqual([0, 0])
  },
)

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
