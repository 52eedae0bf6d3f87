import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Installation } from '../test/servers/distributed.ts'
import { ready, type RunningService } from '../test/servers/footfall.ts'
import { pause } from './footfall.ts'
import { generateLoad } from './load.ts'
import { atMost, median, reported, type Row } from './row.ts'

/** CPU seconds of a process and its children so far. */
const cpuOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}
const cpuOfAll = (services: readonly RunningService[]): number =>
  services.reduce((sum, service) => sum + cpuOf(service.pid()), 0)

/** Resolves when all that is accepted is in the store. */
export async function drained({ console, environment }: Installation): Promise<void> {
  const headers = { authorization: `Bearer ${environment.ADMIN_TOKEN}` }
  for (;;) {
    const answer = await fetch(`${console.url}/api/v1/ledger`, { headers })
    const { in_log: inLog } = (await answer.json()) as { in_log: number }
    if (inLog === 0) return
    await pause(250)
  }
}

/** CPU of the consumers that run, µs an event, over a load. */
async function consume(
  installation: Installation,
  consumers: readonly RunningService[],
  load: { eventsPerSecond: number; seconds: number },
): Promise<number> {
  const eventsPerRequest = 20
  const before = cpuOfAll(consumers)
  const { accepted } = await generateLoad({
    port: Number(new URL(installation.ingests[0]!.url).port),
    eventsPerRequest,
    seconds: load.seconds,
    requestsPerSecond: load.eventsPerSecond / eventsPerRequest,
  })
  await drained(installation)
  return ((cpuOfAll(consumers) - before) * 1e6) / (accepted * eventsPerRequest)
}

/** CPU of the consumers that run, µs an event, while they catch up with what came while the store was away. */
async function catchUp(installation: Installation, consumers: readonly RunningService[], seconds: number) {
  const { ingests, store } = installation
  await store.stop()
  const { accepted } = await generateLoad({
    port: Number(new URL(ingests[0]!.url).port),
    eventsPerRequest: 20,
    seconds,
    requestsPerSecond: 300,
  })
  await store.start()
  const before = cpuOfAll(consumers)
  await drained(installation)
  return ((cpuOfAll(consumers) - before) * 1e6) / (accepted * 20)
}

/** CPU of the engine and of what supervises it, in seconds so far. */
const engineCpu = ({ store }: Installation): number =>
  [
    store.pid(),
    ...execFileSync('pgrep', ['-P', String(store.pid())])
      .toString()
      .trim()
      .split('\n')
      .map(Number),
  ].reduce((sum, pid) => sum + cpuOf(pid), 0)

/** What runs whatever comes: milliseconds of CPU a second of one consumer without events, and of the engine with few. */
async function standing(installation: Installation, consumer: RunningService, seconds: number) {
  const before = cpuOf(consumer.pid())
  await pause(seconds * 1_000)
  const idle = ((cpuOf(consumer.pid()) - before) * 1_000) / seconds
  const engineBefore = engineCpu(installation)
  const port = Number(new URL(installation.ingests[0]!.url).port)
  await generateLoad({ port, eventsPerRequest: 10, seconds, requestsPerSecond: 20 })
  await drained(installation)
  return { idle, engine: ((engineCpu(installation) - engineBefore) * 1_000) / seconds }
}

/** What consuming costs with two processes and with one, and what runs whatever comes. Ends with one consumer. */
export async function benchConsumers(
  installation: Installation,
  options: { seconds: number; rounds: number },
): Promise<Row[]> {
  const [first, second] = installation.consumers as [RunningService, RunningService]
  const { seconds } = options
  const loads: readonly {
    name: string
    /** null: so few events that what a process costs without any decides. */
    target: number | null
    measure: (running: readonly RunningService[]) => Promise<number>
  }[] = [
    {
      name: '2,000 events/s',
      target: null,
      measure: (running) => consume(installation, running, { eventsPerSecond: 2_000, seconds }),
    },
    {
      name: '10,000 events/s',
      target: 1.15,
      measure: (running) => consume(installation, running, { eventsPerSecond: 10_000, seconds }),
    },
    {
      name: 'catching up with full batches',
      target: 1.15,
      measure: (running) => catchUp(installation, running, seconds / 2),
    },
  ]
  const figures = loads.map(() => ({ two: [] as number[], one: [] as number[] }))
  const measure = async (running: readonly RunningService[], count: 'one' | 'two'): Promise<void> => {
    for (const [nth, load] of loads.entries()) figures[nth]![count].push(await load.measure(running))
  }
  // Either is measured once its code is compiled: a process that has just begun takes half as much again.
  const warmUp = { eventsPerSecond: 5_000, seconds: seconds / 2 }
  await consume(installation, [first, second], warmUp)
  const fixed = await standing(installation, first, seconds / 2)
  for (let round = 0; round < options.rounds; round++) {
    if (round > 0) {
      await second.start()
      await ready(second)
      await consume(installation, [first, second], warmUp)
    }
    await measure([first, second], 'two')
    await second.stop()
    await pause(2_000)
    await measure([first], 'one')
  }
  return [
    ...loads.map(({ name, target }, nth) => {
      const { two, one } = figures[nth]!
      const ratios = two.map((value, round) => value / one[round]!)
      const figure = {
        value: median(ratios),
        unit: '×',
        note:
          `${median(two).toFixed(1)} against ${median(one).toFixed(1)} µs, ` +
          `rounds ${ratios.map((ratio) => ratio.toFixed(2)).join(' ')}`,
      }
      const title = `CPU of the consumers an event, two against one, ${name}`
      return target === null ? reported(title, figure) : atMost(title, { ...figure, target })
    }),
    reported('a consumer without events, CPU a second', { value: fixed.idle, unit: 'ms' }),
    reported('the engine with 200 events/s through two consumers, CPU a second', { value: fixed.engine, unit: 'ms' }),
  ]
}
