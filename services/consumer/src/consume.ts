import { createHash } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { PipelineError, isPipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import type { EventLog, LogConsumer, PartitionState, Position, ReadResult, StoredRecord } from '@footfall/event-log'
import { waitUnless } from '@footfall/event-log/within'
import { isRowRefusal, type Store } from '@footfall/store/open'
import { readQuery } from '@footfall/store/queries'
import type { Logger } from '@footfall/telemetry/logger'
import type { Metrics } from '@footfall/telemetry/metrics'
import { planBatch, readRecords, type ReadRecord } from './plan-batch.ts'
import { createBeat } from './beat.ts'
import { createGate } from './gate.ts'
import { createPoisonGuard } from './poison-guard.ts'
import {
  findEarlierCopies,
  findStoredOffsets,
  insertRows,
  recordBatch,
  shareStatements,
  type Range,
} from './store-batch.ts'

export const storeGroup = 'store'

/** An insert leaves only this long after its claim; later the range is claimed anew, so a fenced writer inserts nothing. */
const claimLifetimeMs = 60_000
/** How long an idle read waits; also how long a stop may take. */
const idleReadMs = 250
/** Full batches that are stored side by side, of different partitions: an id has all its copies in one partition. */
const mostAtOnce = 3
/** A small batch weighs as much of a full one: the store's connections must do for all that are stored side by side. */
const leastWeight = 1 / 4
/** What follows the events of small batches waits for each other so long at most. */
const gatherMs = 100
/** How often rows that a token kept out are put back, before whoever runs this has to look. */
const mostRepairs = 10
const firstRetryMs = 100
const lastRetryMs = 5_000

export interface ConsumerOptions {
  readonly log: EventLog
  readonly store: Store
  readonly logger: Logger
  readonly metrics: Metrics
  readonly limits: { readonly maxRecords: number; readonly maxBytes: number; readonly flushIntervalMs: number }
  readonly now?: () => number
  /** Resolves after a time, or at once when the signal aborts. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>
  /** For crash tests: called at each named point of a batch. */
  readonly onPoint?: (point: 'planned' | 'claimed' | 'inserted' | 'recorded' | 'advanced', range: Range) => void
}

export interface RunningConsumer {
  /** Settles when consuming has ended: resolves after `close`, rejects with what stopped it. */
  readonly done: Promise<void>
  /** First offset that is not consumed, per partition. */
  positions(): ReadonlyMap<number, number>
  /** How long ago the oldest record was accepted that is read and not stored yet, in milliseconds; 0: none. */
  behindMs(): number
  /** Resolves between two batches; nothing is inserted until the returned function is called. */
  pause(): Promise<() => void>
  close(): Promise<void>
}

/** Records of `[base, end)`. */
interface Batch {
  readonly base: number
  readonly end: number
  readonly records: readonly StoredRecord[]
  readonly parse: () => readonly ReadRecord[]
}

/** Names exactly the raw records of a range: `partition:base-end:SHA-256`. Holds no version of ours. */
function tokenOf(range: Range, records: readonly ReadRecord[]): string {
  const digest = createHash('sha256').update(range.logId)
  for (const { value } of records) digest.update(value)
  return `${range.partition}:${range.base}-${range.end}:${digest.digest('hex')}`
}

/**
 * Takes events from the log into the store, each exactly once: look up its ids, claim the range, insert the rows,
 * record ids, days and ledger, advance. Whatever is killed when, an open claim is resolved by what the store holds.
 */
export async function startConsumer(options: ConsumerOptions): Promise<RunningConsumer> {
  const { log, store, logger, metrics, limits } = options
  const now = options.now ?? Date.now
  const wait = options.wait ?? waitUnless
  const point = options.onPoint ?? (() => undefined)
  const stopping = new AbortController()
  // One for each partition.
  setMaxListeners(0, stopping.signal)
  const poison = createPoisonGuard(now)
  const positions = new Map<number, number>()
  /** When the first record of the batch in hand was accepted, by partition. */
  const inHand = new Map<number, number>()
  const runs = new Map<number, { abort: AbortController; done: Promise<void> }>()
  const gate = createGate(mostAtOnce * limits.maxRecords)
  // Partitions flush together, so that their batches share statements and commits.
  const flush = createBeat(() => wait(limits.flushIntervalMs, stopping.signal))
  const shared = shareStatements(store, { most: limits.maxRecords, gatherMs })
  let fail: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_resolve, reject) => (fail = reject))
  failed.catch(() => undefined)

  /** Repeats what the store or the log could not do for now; everything else is thrown on. */
  const persist = async <Result>(what: string, work: () => Promise<Result>, signal: AbortSignal): Promise<Result> => {
    for (let delay = firstRetryMs; ; delay = Math.min(lastRetryMs, delay * 2)) {
      try {
        return await work()
      } catch (error) {
        if (!isPipelineError(error) || !error.retryable || signal.aborted) throw error
        logger.warn({ code: error.code, err: error.message, retryMs: delay }, `${what} waits`)
        await wait(delay * (0.5 + Math.random() / 2), signal)
        if (signal.aborted) throw error
      }
    }
  }

  /**
   * Repeats what the store could not do. Meanwhile the log is asked where we are: it hears that we live, however long the
   * store is away, and we hear whether the partition is still ours.
   */
  const persistInStore = <Result>(
    what: string,
    consumer: LogConsumer,
    partition: number,
    work: () => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> => {
    let isRepeated = false
    return persist(
      what,
      async () => {
        if (isRepeated) await consumer.position(partition)
        isRepeated = true
        return work()
      },
      signal,
    )
  }

  /** Where the log says we are. Stops where the store disagrees: one of them comes from another moment. */
  const checkPosition = async (
    consumer: LogConsumer,
    partition: number,
  ): Promise<Position & { readonly stored: number }> => {
    const position = await consumer.position(partition)
    const { next, claimed } = position
    const [row] = await store.query<{ next: string; rows_end: string }>(readQuery('stored-position'), {
      log_id: log.logId,
      partition,
    })
    const storeNext = Number(row?.next ?? 0)
    const rowsEnd = Number(row?.rows_end ?? 0)
    const agrees = (storeNext === next || storeNext === claimed) && rowsEnd <= (claimed ?? next)
    if (!agrees) {
      throw new PipelineError(
        'POSITION_DISAGREES',
        `Partition ${partition}: the log says ${next}${claimed === undefined ? '' : ` (claimed to ${claimed})`}, the store ${storeNext}` +
          `${rowsEnd > storeNext ? ` with rows to ${rowsEnd}` : ''}.`,
      )
    }
    positions.set(partition, next)
    return { ...position, stored: storeNext }
  }

  /** Puts one range into the store. `isOpen`: an earlier try may have stored some of it. */
  const storeRange = async (
    consumer: LogConsumer,
    range: Range,
    records: readonly ReadRecord[],
    isOpen: boolean,
    refused: ReadonlyMap<number, string>,
    signal: AbortSignal,
    isSplit = false,
  ): Promise<void> => {
    const started = now()
    const inStore = <Result>(what: string, work: () => Promise<Result>): Promise<Result> =>
      persistInStore(what, consumer, range.partition, work, signal)
    const earlier = await inStore('the look-up of ids', () =>
      findEarlierCopies({ store, shared }, records, range, now()),
    )
    const plan = planBatch(records, earlier, range, refused)
    const token = tokenOf(range, records)
    point('planned', range)
    // What the store refuses is counted when it is found; the range as a whole was counted before it was split.
    if (!isSplit) poison.check(plan.counts)
    let mayBeStored = isOpen
    let isRepeated = isOpen
    let split: unknown = null
    await persist(
      'the insert',
      async () => {
        // Before it is asked for: a process that is stopped while its answer waits must not take the claim for new.
        const claimedAt = now()
        await consumer.claim(range.partition, range.end)
        point('claimed', range)
        const stored = mayBeStored ? await findStoredOffsets(store, range) : null
        if (now() - claimedAt > claimLifetimeMs) throw new PipelineError('STORE_UNAVAILABLE', 'The claim is too old.')
        isRepeated = mayBeStored
        mayBeStored = true
        try {
          const insert = (): Promise<void> => insertRows(store, plan, token, stored)
          await (records.length > limits.maxRecords * leastWeight ? insert() : shared.whileInserting(insert))
        } catch (error) {
          if (!isRowRefusal(error)) throw error
          split = error
        }
      },
      signal,
    )
    if (split) return splitRange(consumer, range, records, refused, split, signal)
    point('inserted', range)
    // After a failure the token alone is no proof: what the store holds is.
    if (isRepeated) await verifyStored(consumer, range, plan, token, signal)
    await inStore('the ledger', () => recordBatch(shared, plan))
    point('recorded', range)
    await persist('the log', () => consumer.advance(range.partition, range.end), signal)
    positions.set(range.partition, range.end)
    point('advanced', range)
    metrics.batches.inc()
    metrics.batchRecords.observe(plan.counts.read)
    metrics.insertSeconds.observe(Math.max(0, now() - started) / 1000)
    metrics.stored.inc(plan.counts.stored)
    metrics.failed.inc(plan.counts.failed)
    metrics.deduplicated.inc(plan.counts.deduplicated)
  }

  /**
   * After a repeated insert: rows that are still missing were kept out by a token whose rows are gone (the engine notes
   * the token before the part: killed in between, or cut from power, it keeps only the token). They go in under a
   * further token. It too names the range and nothing else: whoever lost the range in between, and wakes up late, sends
   * the same one.
   */
  const verifyStored = async (
    consumer: LogConsumer,
    range: Range,
    plan: ReturnType<typeof planBatch>,
    token: string,
    signal: AbortSignal,
  ): Promise<void> => {
    const inStore = <Result>(what: string, work: () => Promise<Result>): Promise<Result> =>
      persistInStore(what, consumer, range.partition, work, signal)
    const rows = [...plan.events, ...plan.failed]
    for (let repair = 1; repair <= mostRepairs; repair++) {
      const stored = await inStore('the check of a claim', () => findStoredOffsets(store, range))
      if (rows.every(({ offset }) => stored.has(offset))) return
      logger.warn(
        { partition: range.partition, base: range.base, end: range.end },
        'rows were gone although their token was kept',
      )
      await inStore('the repair of a claim', () => insertRows(store, plan, `${token}:again-${repair}`, stored))
    }
    throw new PipelineError(
      'STORE_UNAVAILABLE',
      `It loses the rows of partition ${range.partition} from ${range.base}.`,
    )
  }

  /** Finds the row that the store refuses: each half is claimed, stored and advanced on its own. */
  const splitRange = async (
    consumer: LogConsumer,
    range: Range,
    records: readonly ReadRecord[],
    refused: ReadonlyMap<number, string>,
    cause: unknown,
    signal: AbortSignal,
  ): Promise<void> => {
    const detail = cause instanceof Error ? cause.message : String(cause)
    const [only, second] = records
    if (!only) throw cause
    if (!second) {
      if (refused.has(only.offset)) throw cause
      logger.error(
        { partition: range.partition, offset: only.offset, err: detail.slice(0, 200) },
        'the store refuses a row',
      )
      poison.check({ read: 0, poison: 1 })
      return storeRange(consumer, range, records, true, new Map([...refused, [only.offset, detail]]), signal, true)
    }
    const middle = Math.floor(records.length / 2)
    const cut = records[middle]!.offset
    await storeRange(consumer, { ...range, end: cut }, records.slice(0, middle), true, refused, signal, true)
    await storeRange(consumer, { ...range, base: cut }, records.slice(middle), true, refused, signal, true)
  }

  const keptOf = async (partition: number, signal: AbortSignal): Promise<PartitionState | undefined> =>
    (await persist('the log', () => log.partitions(topics.events), signal)).find((one) => one.partition === partition)

  /** Reads `[from, end)` whole, whatever the limits of a batch. */
  const readExactly = async (
    consumer: LogConsumer,
    partition: number,
    from: number,
    end: number,
    signal: AbortSignal,
  ): Promise<StoredRecord[]> => {
    const kept = await keptOf(partition, signal)
    if (!kept || kept.end < end || kept.start > from) {
      throw new PipelineError(
        'POSITION_DISAGREES',
        `Partition ${partition}: ${from} to ${end} is claimed, the log holds ${kept?.start} to ${kept?.end}.`,
      )
    }
    const records: StoredRecord[] = []
    for (let next = from; next < end && !signal.aborted;) {
      const most = { maxRecords: Math.min(limits.maxRecords, end - next), maxBytes: limits.maxBytes }
      const read = await persist(
        'the log',
        () => consumer.read(partition, next, { ...most, waitMs: idleReadMs }),
        signal,
      )
      records.push(...read.records.filter(({ offset }) => offset < end))
      next = read.next
    }
    if (signal.aborted) throw new PipelineError('FENCED', `Partition ${partition} is given back.`)
    return records
  }

  /** Gathers a batch: what is there, and what comes within the flush interval, up to the limits. */
  const gather = async (
    consumer: LogConsumer,
    partition: number,
    from: number,
    signal: AbortSignal,
  ): Promise<Batch> => {
    const readOn = (next: number, taken: { records: number; bytes: number }, waitMs: number): Promise<ReadResult> => {
      const most = {
        maxRecords: limits.maxRecords - taken.records,
        maxBytes: Math.max(1, limits.maxBytes - taken.bytes),
      }
      return persist('the log', () => consumer.read(partition, next, { ...most, waitMs }), signal)
    }
    const batchOf = (end: number, records: readonly StoredRecord[]): Batch => {
      // Few partitions parse while the store has the batch before; of many, what is parsed would take all memory.
      const parsed = runs.size <= mostAtOnce ? readRecords(records) : null
      return { base: from, end, records, parse: () => parsed ?? readRecords(records) }
    }
    const first = await readOn(from, { records: 0, bytes: 0 }, idleReadMs)
    const bytes = first.records.reduce((sum, { value }) => sum + value.length, 0)
    const isFull = first.records.length >= limits.maxRecords || bytes >= limits.maxBytes * 0.9
    if (first.next === from || isFull) return batchOf(first.next, first.records)
    await flush(signal)
    const rest = await readOn(first.next, { records: first.records.length, bytes }, 0)
    return batchOf(rest.next, [...first.records, ...rest.records])
  }

  /** How much of the gate's room a batch takes. */
  const weigh = (records: readonly StoredRecord[]): number => {
    const bytes = records.reduce((sum, { value }) => sum + value.length, 0)
    const share = Math.max(leastWeight, records.length / limits.maxRecords, bytes / limits.maxBytes)
    return Math.ceil(share * limits.maxRecords)
  }

  /** Stores a range once there is room in the gate, unless the partition is given back by then. */
  const storeInTurn = (
    weight: number,
    consumer: LogConsumer,
    range: Range,
    begin: () => readonly ReadRecord[],
    isOpen: boolean,
    signal: AbortSignal,
  ): Promise<void> =>
    gate.run(weight, async () => {
      if (!signal.aborted) await storeRange(consumer, range, begin(), isOpen, new Map(), signal)
    })

  const acceptedAt = (records: readonly StoredRecord[]): number => {
    for (const record of records) {
      const [first] = readRecords([record])
      if (first?.event) return first.event.received_at
    }
    return now()
  }

  const runPartition = async (consumer: LogConsumer, partition: number, signal: AbortSignal): Promise<void> => {
    const { next, claimed, stored } = await persist('the store', () => checkPosition(consumer, partition), signal)
    const isClaimed = claimed !== undefined && claimed > next
    if (isClaimed && stored === claimed && ((await keptOf(partition, signal))?.start ?? 0) > next) {
      // The ledger, written last, has the batch whole, and an erasure has taken what was consumed out of the log since.
      await persist('the log', () => consumer.advance(partition, claimed), signal)
      positions.set(partition, claimed)
    } else if (isClaimed) {
      logger.info({ partition, base: next, end: claimed }, 'an open claim is resolved')
      const records = await readExactly(consumer, partition, next, claimed, signal)
      inHand.set(partition, acceptedAt(records))
      // To look for what is stored of it costs the same however small it is.
      const range = { logId: log.logId, partition, base: next, end: claimed }
      await storeInTurn(limits.maxRecords, consumer, range, () => readRecords(records), true, signal)
      if (signal.aborted) return
      inHand.delete(partition)
    }
    let gathering = gather(consumer, partition, positions.get(partition)!, signal)
    while (!signal.aborted) {
      const { base, end, records, parse } = await gathering
      if (signal.aborted) return
      const gatherNext = (): void => {
        gathering = gather(consumer, partition, end, signal)
        gathering.catch(() => undefined) // Heard of where it is awaited.
      }
      if (end === base) {
        gatherNext()
        continue
      }
      const range = { logId: log.logId, partition, base, end }
      inHand.set(partition, acceptedAt(records))
      const begin = (): readonly ReadRecord[] => {
        // The next batch is read while this one is stored, and no earlier: one of each partition waits at most.
        gatherNext()
        return parse()
      }
      await storeInTurn(weigh(records), consumer, range, begin, false, signal)
      if (signal.aborted) return
      inHand.delete(partition)
    }
  }

  let join: (consumer: LogConsumer) => void = () => undefined
  const joined = new Promise<LogConsumer>((resolve) => (join = resolve))
  const consumer = await log.consume(topics.events, storeGroup, {
    onAssigned(partition) {
      const abort = new AbortController()
      // One that is given to us while we close, since others close too.
      if (stopping.signal.aborted) abort.abort()
      stopping.signal.addEventListener('abort', () => abort.abort(), { once: true, signal: abort.signal })
      const done = joined
        .then((member) => (abort.signal.aborted ? undefined : runPartition(member, partition, abort.signal)))
        .catch((error: unknown) => {
          if (abort.signal.aborted && isPipelineError(error)) return
          fail(error)
        })
      runs.set(partition, { abort, done })
    },
    async onRevoked(partition) {
      const run = runs.get(partition)
      runs.delete(partition)
      run?.abort.abort()
      await run?.done
      positions.delete(partition)
      inHand.delete(partition)
    },
  })

  join(consumer)

  const close = async (): Promise<void> => {
    stopping.abort()
    // The batch that is under way is finished before the partitions are given back.
    await Promise.all([...runs.values()].map(({ done }) => done))
    await consumer.close()
  }
  const ended = new Promise<void>((resolve) =>
    stopping.signal.addEventListener('abort', () => resolve(), { once: true }),
  )
  return {
    done: Promise.race([ended, failed]),
    positions: () => positions,
    behindMs: () => (inHand.size === 0 ? 0 : Math.max(0, now() - Math.min(...inHand.values()))),
    pause: () => gate.pause(),
    close,
  }
}
