import { PipelineError } from '@footfall/contracts/errors'
import kafkajs, {
  type Admin,
  type Consumer,
  type ConsumerRunConfig,
  type Kafka,
  type Offsets,
  type PartitionOffset,
  type PartitionAssigner,
} from 'kafkajs'
import { together } from './together.ts'
import { within } from './within.ts'
import type { ConsumerHandlers, LogConsumer, PartitionState, Position, ReadResult, StoredRecord } from './event-log.ts'

/** Bytes of records that one fetch brings for a partition. */
const fetchBytes = 4 * 1024 * 1024
/** A partition is fetched no further while this much of it waits to be read; all together: three times as much. */
const fullBytes = 16 * 1024 * 1024

/** When the brokers answer a fetch. */
export interface FetchPace {
  /** Once they have so much … */
  readonly fromBytes: number
  /** … or after so long; also how long a resumed partition waits for the next fetch. */
  readonly waitMs: number
}
/** For who goes on and on: a fetch for each record that comes would cost more than all else that a consumer does. */
export const steady: FetchPace = { fromBytes: 256 * 1024, waitMs: 500 }
/** For who reads what is there and is gone. */
export const hasty: FetchPace = { fromBytes: 1, waitMs: 50 }
/** How long a leave may take; then the group waits for the session to end. */
const closeMs = 5_000

export interface GroupParts {
  readonly kafka: Kafka
  readonly admin: Admin
  /** Asks the admin one question after the other: it mixes up the answers to two at once. */
  readonly inTurn: <Result>(ask: () => Promise<Result>) => Promise<Result>
  /** Names as the brokers know them. */
  readonly topic: string
  readonly group: string
  readonly handlers: ConsumerHandlers
  readonly pace: FetchPace
  readonly sessionTimeoutMs: number
  /** A consumer that asks for nothing for so long hangs: it must not keep its partitions by heartbeats alone. */
  readonly stalledMs: number
  readonly partitions: () => Promise<PartitionState[]>
  readonly onProblem: (problem: string) => void
  /** Told by the client's log that a fetch of a group was out of range: it then forgets where that group was. */
  readonly onOutOfRange: (group: string, listener: () => void) => () => void
}

export interface GroupConsumer extends LogConsumer {
  /** Resolves when a read of one of these partitions may give more than the last one, or nothing will any more. */
  arrived(partitions: readonly number[], signal: AbortSignal): Promise<void>
}

/** A partition while it is ours. */
interface Place {
  readonly partition: number
  /** Offset of the first record in the buffer, or of the next to come; null: nothing was asked for yet. */
  head: number | null
  /** Offset after the last record in the buffer. */
  next: number
  /** What the group has committed, once we know it: nobody else writes it while the partition is ours. */
  committed: number | null
  buffer: StoredRecord[]
  bytes: number
  isPaused: boolean
  isRevoked: boolean
  wake: (() => void) | null
}

interface Commit {
  readonly partition: number
  readonly offset: string
  readonly metadata: string
  /** In which it was asked for. */
  readonly generation: number
  /** Whether the client reported it. */
  isDone: boolean
}

/** What the broker called its refusal, however deep the client wrapped it. */
function typeOf(error: unknown): string | null {
  for (let inner = error; inner instanceof Error; inner = inner.cause) {
    const { type } = inner as { type?: unknown }
    if (typeof type === 'string') return type
  }
  return null
}

const betweenGenerations = 'The group is between two generations.'
const unavailable = (error: unknown, detail?: string): PipelineError =>
  error instanceof PipelineError
    ? error
    : new PipelineError('LOG_UNAVAILABLE', detail ?? (error instanceof Error ? error.message : String(error)), {
        cause: error,
      })

/**
 * Joins a consumer group. Records are fetched ahead into a buffer per partition, so that the client's own loop, which
 * sends the heartbeats, never waits for us. Rebalances are the client's; what is ours is the fence:
 * - a commit counts only when the client reports that it was made (it leaves some out silently between generations),
 *   and only while the partition is still the one that was assigned;
 * - a commit is made in the generation in which it was asked for, or never;
 * - a member that the group had given up, or that missed a generation, is a new one: whatever it held is revoked first,
 *   though it may get it back.
 */
export async function joinGroup(parts: GroupParts): Promise<GroupConsumer> {
  const { kafka, admin, topic, group, handlers, pace, stalledMs, onProblem } = parts
  const places = new Map<number, Place>()
  /** Revocations that are still being handled: a partition is given again only after its former run has ended. */
  const turns = new Map<number, Promise<void>>()
  const commits = new Set<Commit>()
  const listeners = new Set<() => void>()
  let totalBytes = 0
  let memberId: string | null = null
  let generation = 0
  let isClosed = false
  let failure: PipelineError | null = null
  let lastCall = Date.now()
  /** How often the client asked to join since it last told us what came of it. */
  let joins = 0
  let joinedAt = 0
  let isRejoining = false
  /** Commits once. The client's other way tries again by itself, then in the name of a later generation. */
  let commitOnce: ((offsets: Offsets) => Promise<void>) | null = null
  const assigner: PartitionAssigner = (config) => {
    const roundRobin = kafkajs.PartitionAssigners.roundRobin(config)
    return {
      ...roundRobin,
      protocol(subscription) {
        joins++
        joinedAt = Date.now()
        return roundRobin.protocol(subscription)
      },
    }
  }

  const consumer: Consumer = kafka.consumer({
    groupId: group,
    partitionAssigners: [assigner],
    sessionTimeout: parts.sessionTimeoutMs,
    heartbeatInterval: Math.min(3_000, Math.floor(parts.sessionTimeoutMs / 5)),
    rebalanceTimeout: 60_000,
    maxBytesPerPartition: fetchBytes,
    maxBytes: 4 * fetchBytes,
    minBytes: pace.fromBytes,
    maxWaitTimeInMs: pace.waitMs,
    allowAutoTopicCreation: false,
    retry: {
      retries: 10,
      initialRetryTime: 100,
      maxRetryTime: 2_000,
      restartOnFailure: async () => !isClosed && !isRejoining && !failure,
    },
  })

  const notify = (): void => {
    for (const listener of [...listeners]) listener()
  }

  const revoke = (partition: number): void => {
    const place = places.get(partition)
    if (!place) return
    places.delete(partition)
    place.isRevoked = true
    totalBytes -= place.bytes
    place.buffer = []
    place.wake?.()
    const before = turns.get(partition) ?? Promise.resolve()
    turns.set(
      partition,
      before.then(() => handlers.onRevoked(partition)).catch((error: unknown) => onProblem(String(error))),
    )
  }
  const revokeAll = (): void => {
    for (const partition of [...places.keys()]) revoke(partition)
  }

  const assign = (partition: number): void => {
    const place: Place = {
      partition,
      head: null,
      next: 0,
      committed: null,
      buffer: [],
      bytes: 0,
      isPaused: true,
      isRevoked: false,
      wake: null,
    }
    const asOf = generation
    pause(place)
    const before = turns.get(partition) ?? Promise.resolve()
    turns.set(
      partition,
      before
        .then(() => {
          // Taken away again meanwhile.
          if (asOf !== generation || isClosed) return
          places.set(partition, place)
          notify()
          return handlers.onAssigned(partition)
        })
        .catch((error: unknown) => onProblem(String(error))),
    )
  }

  const pause = (place: Place): void => {
    place.isPaused = true
    consumer.pause([{ topic, partitions: [place.partition] }])
  }
  /** Fetches on where there is room; what has nothing to give always may. */
  const resumeWhereRoom = (): void => {
    if (isClosed) return
    for (const place of places.values()) {
      const hasRoom = place.bytes === 0 || (place.bytes < fullBytes / 2 && totalBytes < 2 * fullBytes)
      if (!place.isPaused || place.head === null || !hasRoom) continue
      try {
        consumer.resume([{ topic, partitions: [place.partition] }])
        place.isPaused = false
      } catch {
        // Between two lives of the client: it assigns anew.
      }
    }
  }

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    if (isClosed || isRejoining) return
    const assigned = new Set(payload.memberAssignment[topic] ?? [])
    // After a join whose outcome was lost, others may have had our partitions meanwhile.
    const isNextGeneration = payload.memberId === memberId && joins === 1
    memberId = payload.memberId
    joins = 0
    const kept = new Set([...places.keys()].filter((partition) => isNextGeneration && assigned.has(partition)))
    for (const partition of [...places.keys()]) if (!kept.has(partition)) revoke(partition)
    // Assignments that had not been handed out yet are handed out by this generation.
    generation++
    for (const partition of assigned) if (!kept.has(partition)) assign(partition)
    // The client would fetch what it keeps from the last commit on again.
    for (const { partition, head, next } of places.values())
      if (head !== null) consumer.seek({ topic, partition, offset: String(next) })
  })
  consumer.on(consumer.events.COMMIT_OFFSETS, ({ payload }) => {
    for (const { partitions } of payload.topics)
      for (const { partition, offset, metadata } of partitions as (PartitionOffset & { metadata?: string })[])
        for (const commit of commits)
          if (
            commit.partition === partition &&
            commit.offset === String(offset) &&
            commit.metadata === (metadata ?? '')
          )
            commit.isDone = true
  })
  const fail = (problem: string): void => {
    if (failure || isClosed) return
    failure = new PipelineError('LOG_UNAVAILABLE', problem, { retryable: false })
    onProblem(problem)
    generation++
    // Not revoked: whoever runs them would end in silence. The next call of each throws what happened.
    const wakers = [...places.values()].map(({ wake }) => wake)
    places.clear()
    for (const wake of wakers) wake?.()
    notify()
    consumer.disconnect().catch(() => undefined)
  }
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    commitOnce = null
    if (isRejoining) return
    if (!payload.restart) return fail(`The consumer of ${topic} has stopped for good: ${payload.error.message}`)
    memberId = null
    generation++
    revokeAll()
  })
  /** Leaves the group and comes again as a new member. */
  const rejoin = async (): Promise<void> => {
    isRejoining = true
    memberId = null
    generation++
    revokeAll()
    await consumer.stop()
    joins = 0
    commitOnce = null
    isRejoining = false
    if (!isClosed && !failure) await consumer.run(running)
  }
  consumer.on(consumer.events.HEARTBEAT, () => {
    // The group counts on us for partitions that we never heard of: the answer was lost, and the client does not ask again.
    if (joins === 0 || isRejoining || isClosed || Date.now() - joinedAt < parts.sessionTimeoutMs) return
    onProblem(`The assignment of ${topic} was lost on its way: joining again.`)
    rejoin().catch((error: unknown) => fail(`The consumer of ${topic} could not join again: ${String(error)}`))
  })
  const stopListening = parts.onOutOfRange(group, () => {
    fail(`${topic} no longer holds what ${group} was to read next: it was cut, or made anew.`)
  })
  const watchdog = setInterval(() => {
    // Who waits for what arrives asks all the while.
    if (places.size === 0 || listeners.size > 0) lastCall = Date.now()
    if (Date.now() - lastCall < stalledMs) return
    fail(`Nothing was asked of ${topic} for ${stalledMs / 1000} s: the consumer hangs, its partitions go to others.`)
  }, stalledMs / 10)
  watchdog.unref()

  const checkAlive = (): void => {
    if (failure) throw failure
  }
  const placeOf = (partition: number): Place => {
    lastCall = Date.now()
    checkAlive()
    const place = places.get(partition)
    if (!place || isClosed) throw new PipelineError('FENCED', `Partition ${partition} is not ours.`)
    return place
  }

  /** One request for what several partitions commit at about the same time. @returns what went wrong, for each of them. */
  const send = together(async (asked: readonly Commit[]): Promise<unknown[]> => {
    // One of an earlier generation would be made in the name of a later one.
    const current = joins > 0 ? [] : asked.filter((one) => one.generation === generation)
    if (current.length === 0) return []
    let problem: unknown = null
    const asOf = generation
    for (const one of current) commits.add(one)
    try {
      const partitions = current.map(({ partition, offset, metadata }) => ({ partition, offset, metadata }))
      if (commitOnce) await commitOnce({ topics: [{ topic, partitions }] })
      // Nothing was fetched yet: there is no batch of ours that a commit could be for.
      else await consumer.commitOffsets(partitions.map((one) => ({ topic, ...one })))
    } catch (error) {
      problem = error
      if (typeOf(error) === 'UNKNOWN_MEMBER_ID' && asOf === generation) {
        memberId = null
        generation++
        revokeAll()
      }
    }
    for (const one of current) commits.delete(one)
    return asked.map(() => problem)
  })
  const commit = async (place: Place, offset: number, metadata: string): Promise<void> => {
    if (place.isRevoked) throw new PipelineError('FENCED', `Partition ${place.partition} is not ours.`)
    const one: Commit = { partition: place.partition, offset: String(offset), metadata, generation, isDone: false }
    const problem = await send(one)
    checkAlive()
    if (place.isRevoked || isClosed) throw new PipelineError('FENCED', `Partition ${place.partition} is not ours.`)
    if (problem) throw unavailable(problem)
    if (!one.isDone) throw unavailable(null, betweenGenerations)
  }

  /** Fetches from another offset on. */
  const seek = async (place: Place, offset: number): Promise<void> => {
    const kept = (await parts.partitions()).find(({ partition }) => partition === place.partition)
    if (!kept || offset < kept.start || offset > kept.end)
      throw new PipelineError(
        'POSITION_DISAGREES',
        `Partition ${place.partition} of ${topic} holds ${kept?.start} to ${kept?.end}; ${offset} was asked for.`,
      )
    if (place.isRevoked) return
    try {
      consumer.seek({ topic, partition: place.partition, offset: String(offset) })
    } catch (error) {
      throw unavailable(error)
    }
    totalBytes -= place.bytes
    place.head = offset
    place.next = offset
    place.buffer = []
    place.bytes = 0
  }

  const waitForRecords = (place: Place, waitMs: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(done, waitMs)
      function done(): void {
        clearTimeout(timer)
        place.wake = null
        resolve()
      }
      place.wake = done
    })

  const take = (place: Place, maxRecords: number, maxBytes: number): ReadResult => {
    let count = 0
    let bytes = 0
    for (const { value } of place.buffer) {
      if (count >= maxRecords || (count > 0 && bytes + value.length > maxBytes)) break
      bytes += value.length
      count++
    }
    const records = place.buffer.splice(0, count)
    place.bytes -= bytes
    totalBytes -= bytes
    // Behind the last one there may be a gap.
    place.head = place.buffer[0]?.offset ?? place.next
    resumeWhereRoom()
    return { records, next: place.head }
  }

  const running: ConsumerRunConfig = {
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async (fetched) => {
      const { batch } = fetched
      const place = places.get(batch.partition)
      commitOnce = (offsets) => fetched.commitOffsetsIfNecessary(offsets)
      // What is not taken is fetched again.
      if (!place || place.head === null || place.isPaused || fetched.isStale()) return
      for (const { offset, value } of batch.messages) {
        const at = Number(offset)
        if (at < place.next) continue
        place.buffer.push({ offset: at, value: value ?? Buffer.alloc(0) })
        const { length } = place.buffer.at(-1)!.value
        place.bytes += length
        totalBytes += length
      }
      place.next = Math.max(place.next, Number(batch.lastOffset()) + 1)
      fetched.resolveOffset(batch.lastOffset())
      if (place.bytes >= fullBytes || (place.bytes > 0 && totalBytes >= 3 * fullBytes)) pause(place)
      place.wake?.()
      notify()
    },
  }
  const leave = async (): Promise<void> => {
    isClosed = true
    clearInterval(watchdog)
    stopListening()
    await within(closeMs, consumer.disconnect())
  }
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run(running)
  } catch (error) {
    // Its connections and timers would go on without anybody.
    await leave()
    throw error
  }

  const position = async (partition: number): Promise<Position> => {
    const place = placeOf(partition)
    let answer: Awaited<ReturnType<Admin['fetchOffsets']>>
    try {
      answer = await parts.inTurn(() => admin.fetchOffsets({ groupId: group, topics: [topic] }))
    } catch (error) {
      throw unavailable(error)
    }
    const found = answer[0]?.partitions.find((one) => one.partition === partition)
    const kept = (await parts.partitions()).find((one) => one.partition === partition)
    if (place.isRevoked) throw new PipelineError('FENCED', `Partition ${partition} is not ours.`)
    // Where nothing was committed, the answer is -1; no answer says nothing.
    if (!found || !kept) throw unavailable(null, `Where ${group} is in partition ${partition} was not told.`)
    const committed = Number(found.offset)
    const next = committed < 0 ? kept.start : committed
    place.committed = next
    const claimed = Number(/^claimed:(\d+)$/.exec(found.metadata ?? '')?.[1] ?? -1)
    return claimed > next ? { next, claimed } : { next }
  }

  return {
    position,

    async claim(partition, end) {
      const place = placeOf(partition)
      const next = place.committed ?? (await position(partition)).next
      await commit(place, next, `claimed:${end}`)
    },

    async read(partition, from, { maxRecords, maxBytes, waitMs }) {
      lastCall = Date.now()
      checkAlive()
      const place = places.get(partition)
      if (!place || isClosed) {
        await new Promise((resolve) => setImmediate(resolve))
        return { records: [], next: from }
      }
      if (place.head === null || from < place.head || from > place.next) await seek(place, from)
      checkAlive()
      while (place.buffer.length > 0 && place.buffer[0]!.offset < from) {
        const { value } = place.buffer.shift()!
        place.bytes -= value.length
        totalBytes -= value.length
      }
      place.head = from
      resumeWhereRoom()
      if (place.next === from && !place.isRevoked) await waitForRecords(place, waitMs)
      checkAlive()
      if (place.isRevoked || place.head !== from) return { records: [], next: from }
      return take(place, maxRecords, maxBytes)
    },

    async advance(partition, next) {
      const place = placeOf(partition)
      await commit(place, next, '')
      place.committed = next
    },

    arrived: (wanted, signal) =>
      new Promise((resolve) => {
        const isThere = (partition: number): boolean => {
          const place = places.get(partition)
          return place !== undefined && (place.head === null || place.bytes > 0)
        }
        const done = (): void => {
          listeners.delete(done)
          signal.removeEventListener('abort', done)
          resolve()
        }
        if (isClosed || failure || signal.aborted || wanted.some(isThere)) return done()
        listeners.add(done)
        signal.addEventListener('abort', done)
      }),

    async close() {
      if (isClosed) return
      isClosed = true
      for (const place of places.values()) {
        place.isRevoked = true
        place.wake?.()
      }
      places.clear()
      notify()
      await leave()
    },
  }
}
