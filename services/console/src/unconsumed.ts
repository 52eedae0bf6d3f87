import { topics } from '@footfall/contracts/event'
import type { EventLog } from '@footfall/event-log'
import * as z from 'zod'

/** What is in the log and not yet in the store. */
export interface Unconsumed {
  readonly in_log: number
  /** Set where one deployment was asked for and too many wait to be told apart: `in_log` is of all. */
  readonly in_log_scope?: 'all'
  /** When the oldest of all that wait was accepted, Unix milliseconds; absent: none waits. */
  readonly unconsumed_from?: number
}

/** More are not told apart: reading them takes the process about a second. */
const mostTold = 100_000
const firstOnes = 100
const recordSchema = z.object({ deployment: z.string(), received_at: z.number() })

function readRecord(value: Buffer): z.infer<typeof recordSchema> | null {
  try {
    return recordSchema.parse(JSON.parse(value.toString('utf8')))
  } catch {
    // The consumer sets it aside; it is nobody's.
    return null
  }
}

/**
 * Counts what the store's consumer has not reached.
 * @param positions first offset that is not consumed, by partition; none known: nothing is consumed.
 */
export function createUnconsumed(
  log: EventLog,
  positions: () => Promise<ReadonlyMap<number, number> | undefined>,
): {
  /** How many wait, of all. */
  count(): Promise<number>
  /** @param deployment counts its events alone, by reading them. */
  look(deployment?: string): Promise<Unconsumed>
} {
  const tails = async (): Promise<{ partition: number; from: number; end: number }[]> => {
    const consumed = await positions()
    return (await log.partitions(topics.events)).map(({ partition, start, end }) => ({
      partition,
      from: Math.min(end, Math.max(start, consumed?.get(partition) ?? start)),
      end,
    }))
  }
  const sizeOf = (places: Awaited<ReturnType<typeof tails>>): number =>
    places.reduce((sum, { from, end }) => sum + end - from, 0)

  return {
    count: async () => sizeOf(await tails()),
    async look(deployment) {
      const places = (await tails()).filter(({ from, end }) => from < end)
      const inLog = sizeOf(places)
      if (inLog === 0) return { in_log: 0 }
      const isCounted = deployment !== undefined && inLog <= mostTold
      const from = new Map(places.map((place) => [place.partition, place.from]))
      // Records come in about the order of their acceptance: the first ones of a partition tell its oldest.
      const until = new Map(
        places.map((place) => [place.partition, isCounted ? place.end : Math.min(place.end, place.from + firstOnes)]),
      )
      let own = 0
      let oldest = Infinity
      for await (const { value } of log.tail(topics.events, { from, until })) {
        const record = readRecord(value)
        if (record === null) continue
        oldest = Math.min(oldest, record.received_at)
        if (record.deployment === deployment) own++
      }
      return {
        in_log: isCounted ? own : inLog,
        ...(deployment !== undefined && !isCounted ? { in_log_scope: 'all' as const } : {}),
        ...(oldest < Infinity ? { unconsumed_from: oldest } : {}),
      }
    },
  }
}

/** How old what several requests share may be. */
const sharedMs = 1_000

/**
 * Requests within a second of a look's beginning share it, and one that is under way is joined: on Kafka each look is a
 * consumer group of its own. What failed is not kept, nor that nothing waits: that was found without a group, and whoever was
 * told 202 since must not be told so.
 */
export function shareLooks(
  look: (deployment?: string) => Promise<Unconsumed>,
  now: () => number,
): (deployment?: string) => Promise<Unconsumed> {
  const looks = new Map<string | undefined, { begun: number; isOver: boolean; answer: Promise<Unconsumed> }>()
  return (deployment) => {
    for (const [key, { begun, isOver }] of looks) if (isOver && now() - begun >= sharedMs) looks.delete(key)
    const known = looks.get(deployment)
    if (known) return known.answer
    const shared = { begun: now(), isOver: false, answer: look(deployment) }
    looks.set(deployment, shared)
    shared.answer.then(
      ({ in_log: inLog, unconsumed_from: from }) => {
        shared.isOver = true
        if (inLog === 0 && from === undefined) looks.delete(deployment)
      },
      () => looks.delete(deployment),
    )
    return shared.answer
  }
}
