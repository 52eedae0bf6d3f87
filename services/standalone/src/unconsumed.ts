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
 * Counts what the store's consumer has not reached. Reads as a group of its own, the port's one way to read from an
 * offset on, and follows the consumer so that it holds no segment back.
 * @param positions first offset that is not consumed, by partition.
 */
export async function openUnconsumed(
  log: EventLog,
  positions: () => ReadonlyMap<number, number> | undefined,
): Promise<{
  /** How many wait, of all. */
  count(): Promise<number>
  /** @param deployment counts its events alone, by reading them. */
  look(deployment?: string): Promise<Unconsumed>
  /** Moves to where the consumer is. */
  follow(): Promise<void>
  close(): Promise<void>
}> {
  const nothing = (): undefined => undefined
  const reader = await log.consume(topics.events, 'unconsumed', { onAssigned: nothing, onRevoked: nothing })
  const tails = async (): Promise<{ partition: number; from: number; end: number }[]> =>
    (await log.partitions(topics.events)).map(({ partition, start, end }) => ({
      partition,
      from: Math.max(start, positions()?.get(partition) ?? start),
      end,
    }))
  const sizeOf = (places: Awaited<ReturnType<typeof tails>>): number =>
    places.reduce((sum, { from, end }) => sum + end - from, 0)

  return {
    count: async () => sizeOf(await tails()),
    async look(deployment) {
      const places = await tails()
      const inLog = sizeOf(places)
      if (inLog === 0) return { in_log: 0 }
      const isCounted = deployment !== undefined && inLog <= mostTold
      const limits = { maxRecords: isCounted ? 1_000 : 100, maxBytes: 1024 * 1024, waitMs: 0 }
      let own = 0
      let oldest = Infinity
      for (const { partition, from, end } of places) {
        for (let next = from; next < end;) {
          const read = await reader.read(partition, next, limits)
          for (const { offset, value } of read.records) {
            const record = offset < end ? readRecord(value) : null
            if (record === null) continue
            oldest = Math.min(oldest, record.received_at)
            if (record.deployment === deployment) own++
          }
          if (read.next === next) break
          next = read.next
          // Records come in about the order of their acceptance: the first ones tell the oldest.
          if (!isCounted && oldest < Infinity) break
        }
      }
      return {
        in_log: isCounted ? own : inLog,
        ...(deployment !== undefined && !isCounted ? { in_log_scope: 'all' as const } : {}),
        ...(oldest < Infinity ? { unconsumed_from: oldest } : {}),
      }
    },
    async follow() {
      for (const { partition, from } of await tails()) {
        const { next } = await reader.position(partition)
        if (from > next) await reader.advance(partition, from)
      }
    },
    close: () => reader.close(),
  }
}
