import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import type { AcceptAnswer, AcceptQuestion } from './accept-server.ts'
import { generateLoad } from './load.ts'
import { atLeast, atMost, median, type Row } from './row.ts'

interface Measured {
  readonly perSecond: number
  /** CPU time of the serving process a request, the generator's not included. */
  readonly cpuMicros: number
}

/**
 * The accept path with every step and a durable log, against a route that only parses, in turns in one process.
 * @param options.brokers the log is Kafka, with a spool before it; default: the embedded one.
 */
export async function benchAccept(options: {
  rounds: number
  seconds: number
  brokers?: readonly string[]
}): Promise<Row[]> {
  const { brokers } = options
  const server = fork(join(findRoot(), 'dist/accept-server.js'), brokers ? [brokers.join(',')] : [], { execArgv: [] })
  let spooled = 0
  const answer = async (): Promise<AcceptAnswer> => ((await once(server, 'message')) as [AcceptAnswer])[0]
  const { port } = await answer()
  const cpu = async (): Promise<number> => {
    const answered = answer()
    server.send('cpu' satisfies AcceptQuestion)
    const { cpuMicros, spooled: waiting = 0 } = await answered
    spooled = Math.max(spooled, waiting)
    return cpuMicros!
  }
  const measure = async (path: string, eventsPerRequest: number, seconds: number): Promise<Measured> => {
    const before = await cpu()
    const { accepted } = await generateLoad({ port: port!, path, eventsPerRequest, seconds, agents: 50 })
    return { perSecond: accepted / seconds, cpuMicros: ((await cpu()) - before) / accepted }
  }
  const compare = async (
    eventsPerRequest: number,
  ): Promise<{ rate: number; cpu: number; ours: Measured; nothing: Measured }> => {
    const pairs: { ours: Measured; nothing: Measured }[] = []
    await measure('/nothing', eventsPerRequest, 1)
    await measure('/v1/events', eventsPerRequest, 2)
    for (let round = 0; round < options.rounds; round++) {
      const nothing = await measure('/nothing', eventsPerRequest, options.seconds)
      pairs.push({ nothing, ours: await measure('/v1/events', eventsPerRequest, options.seconds) })
    }
    const of = (figure: (pair: (typeof pairs)[number]) => number): number => median(pairs.map(figure))
    return {
      rate: of(({ ours, nothing }) => ours.perSecond / nothing.perSecond),
      cpu: of(({ ours, nothing }) => ours.cpuMicros / nothing.cpuMicros),
      ours: { perSecond: of(({ ours }) => ours.perSecond), cpuMicros: of(({ ours }) => ours.cpuMicros) },
      nothing: { perSecond: of(({ nothing }) => nothing.perSecond), cpuMicros: of(({ nothing }) => nothing.cpuMicros) },
    }
  }
  const single = await compare(1)
  const batched = await compare(20)
  server.send('stop' satisfies AcceptQuestion)
  const note = ({ ours, nothing }: { ours: Measured; nothing: Measured }): string =>
    `${Math.round(ours.perSecond)} requests/s at ${ours.cpuMicros.toFixed(1)} µs, the other ${Math.round(nothing.perSecond)} at ${nothing.cpuMicros.toFixed(1)}`
  const log = brokers ? 'accept, durable in Kafka' : 'accept, durable'
  const aside = brokers ? `; ${spooled} events in the spool at most` : ''
  return [
    atLeast(`${log}, 1 event a request, 64 connections: requests/s against a route that does nothing`, {
      value: single.rate,
      unit: '×',
      target: 0.6,
      note: note(single) + aside,
    }),
    atMost(`${log}, 1 event a request: CPU against the same route`, {
      value: single.cpu,
      unit: '×',
      target: 1.8,
    }),
    atLeast(`${log}, 20 events a request: events/s against a route that only parses the same body`, {
      value: batched.rate,
      unit: '×',
      target: 0.55,
      note: note(batched),
    }),
    atMost(`${log}, 20 events a request: CPU an event`, {
      value: batched.ours.cpuMicros / 20,
      unit: 'µs',
      target: 8,
    }),
  ]
}
