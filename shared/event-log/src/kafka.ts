import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { isPipelineError, PipelineError } from '@footfall/contracts/errors'
import kafkajs, { type Admin, type ISocketFactory, type Kafka, type SASLOptions } from 'kafkajs'
import type { ConnectionOptions } from 'node:tls'
import type { EventLog, LogRecord, PartitionState, TailOptions, TailRecord } from './event-log.ts'
import { hasty, joinGroup, steady, type FetchPace, type GroupConsumer } from './kafka-consumer.ts'
import { createBatchingProducer, maxSendBytes } from './kafka-producer.ts'
import { mendKafkajs } from './mend-kafkajs.ts'
import { within } from './within.ts'

mendKafkajs()

export interface KafkaLogOptions {
  /** host:port of some brokers; they name the others. */
  readonly brokers: readonly string[]
  /** Before the names of topics and groups, on brokers that others use too. Default `footfall.` */
  readonly prefix?: string
  readonly tls?: ConnectionOptions | null
  readonly sasl?: SASLOptions | null
  /** Partitions by topic, default 1; fixed once a topic exists. */
  readonly partitions?: Readonly<Record<string, number>>
  /** Copies of each record, at creation; one of three may be lost without a stop. Default 3. */
  readonly replicas?: number
  /** How long a topic's records are kept, by age alone: milliseconds; null: for ever. Default 7 days. */
  readonly retainMs?: Readonly<Record<string, number | null>>
  /** After so long without a sign of life a consumer's partitions go to others. Default 30,000. */
  readonly sessionTimeoutMs?: number
  /** After so long without a question of ours a consumer is taken to hang, and gives its partitions up. Default 300,000. */
  readonly stalledMs?: number
  readonly onProblem?: (problem: string) => void
  /** For tests that cut connections. */
  readonly socketFactory?: ISocketFactory
}

/** What only Kafka can be asked. */
export interface KafkaExtras {
  /** Drops all records of a topic before these offsets, by partition; they are gone when it resolves. */
  forget(topic: string, ends: readonly number[]): Promise<void>
  /** How many consume a topic in a group now. */
  members(topic: string, group: string): Promise<number>
}

const dayMs = 24 * 3_600_000
const maxRecords = 10_000
/** As the embedded log's: one contract. */
const maxRecordBytes = 512 * 1024
/** Holds one record for ever: the log's identity. */
const identityTopic = 'identity'
const closeMs = 5_000

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error))
const unavailable = (error: unknown): PipelineError =>
  error instanceof PipelineError ? error : new PipelineError('LOG_UNAVAILABLE', describe(error), { cause: error })

/**
 * The event log on Kafka: `acks=all`, topics that are made explicitly (their partitions fixed, kept by time and never by
 * size), the claim of a group in the metadata of its committed offset, fenced by the group's generation.
 * @throws LOG_UNAVAILABLE while no broker answers; CONFLICT when a topic is not as it must be, naming the command that helps.
 */
export async function openKafkaEventLog(options: KafkaLogOptions): Promise<EventLog & KafkaExtras> {
  const prefix = options.prefix ?? 'footfall.'
  const onProblem = options.onProblem ?? (() => undefined)
  /** By group; several consumers of a process may be members of one. */
  const outOfRange = new Map<string, Set<() => void>>()
  const kafka: Kafka = new kafkajs.Kafka({
    clientId: 'footfall',
    brokers: [...options.brokers],
    ssl: options.tls ?? false,
    ...(options.sasl ? { sasl: options.sasl } : {}),
    ...(options.socketFactory ? { socketFactory: options.socketFactory } : {}),
    connectionTimeout: 3_000,
    requestTimeout: 15_000,
    retry: { retries: 5, initialRetryTime: 100, maxRetryTime: 2_000 },
    logLevel: kafkajs.logLevel.ERROR,
    logCreator:
      () =>
      ({ log: { message, groupId } }) => {
        // The client then commits its default offset, without the claim: whoever reads for that group must stop.
        if (message.startsWith('Offset out of range'))
          for (const listener of outOfRange.get(String(groupId)) ?? []) listener()
      },
  })
  const admin: Admin = kafka.admin()
  const producer = createBatchingProducer(kafka)
  const topics = new Map<string, Promise<number>>()
  const consumers = new Set<GroupConsumer>()
  const closing = new AbortController()
  // One for each tail.
  setMaxListeners(0, closing.signal)

  let asking: Promise<unknown> = Promise.resolve()
  /** One question after the other: this client mixes up the answers to two at once. */
  const inTurn = <Result>(ask: () => Promise<Result>): Promise<Result> => {
    const answer = asking.then(ask, ask)
    asking = answer
    return answer
  }

  const nameOf = (topic: string): string => `${prefix}${topic}`
  const groupOf = (topic: string, group: string): string => nameOf(`${group}.${topic}`)
  const retentionOf = (topic: string): number | null => {
    const kept = topic === identityTopic ? null : options.retainMs?.[topic]
    return kept === undefined ? 7 * dayMs : kept
  }

  /** Makes a topic unless it is there. @returns its number of partitions. */
  const ensureTopic = async (topic: string): Promise<number> => {
    const name = nameOf(topic)
    const wanted = options.partitions?.[topic]
    const existing = await admin.listTopics()
    if (!existing.includes(name)) {
      // Not as many as there are: a broker that is down now must not cost a copy for ever.
      const replicas = options.replicas ?? 3
      await admin.createTopics({
        waitForLeaders: true,
        topics: [
          {
            topic: name,
            numPartitions: wanted ?? 1,
            replicationFactor: replicas,
            configEntries: Object.entries({
              'cleanup.policy': 'delete',
              'retention.ms': retentionOf(topic) ?? -1,
              'retention.bytes': -1,
              'max.message.bytes': 2 * maxSendBytes,
              'min.insync.replicas': replicas >= 3 ? 2 : 1,
              // A single broker has no other's copy: it must have every record on its disk.
              ...(replicas === 1 ? { 'flush.messages': 1 } : {}),
            }).map(([entry, value]) => ({ name: entry, value: String(value) })),
          },
        ],
      })
    }
    // Known to every broker a moment after the one that made it.
    const look = async (left: number): Promise<number> => {
      try {
        return (await admin.fetchTopicMetadata({ topics: [name] })).topics[0]!.partitions.length
      } catch (error) {
        if (left === 0 || (error as { type?: unknown }).type !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
        await sleep(100)
        return look(left - 1)
      }
    }
    const count = await look(50)
    if (wanted !== undefined && wanted !== count)
      throw new PipelineError(
        'CONFLICT',
        `Topic ${name} has ${count} partitions, not ${wanted}: their number is fixed. Set KAFKA_PARTITIONS=${count}.`,
      )
    return count
  }
  const partitionCount = (topic: string): Promise<number> => {
    let count = topics.get(topic)
    if (count === undefined) {
      const made = inTurn(() => ensureTopic(topic))
      topics.set(topic, (count = made))
      // Tried again by the next who asks.
      made.catch(() => topics.delete(topic))
    }
    return count
  }

  const partitions = async (topic: string): Promise<PartitionState[]> => {
    try {
      await partitionCount(topic)
      const offsets = await inTurn(() => admin.fetchTopicOffsets(nameOf(topic)))
      return offsets
        .map(({ partition, low, high }) => ({ partition, start: Number(low), end: Number(high) }))
        .sort((a, b) => a.partition - b.partition)
    } catch (error) {
      throw unavailable(error)
    }
  }

  const join = async (
    topic: string,
    group: string,
    handlers: Parameters<EventLog['consume']>[2],
    pace: FetchPace,
  ): Promise<GroupConsumer> => {
    if (closing.signal.aborted) throw new PipelineError('LOG_UNAVAILABLE', 'The log is closed.')
    try {
      await partitionCount(topic)
      const consumer = await joinGroup({
        kafka,
        admin,
        inTurn,
        topic: nameOf(topic),
        // A group is of one topic: members of a group that read different topics would be given each other's.
        group: groupOf(topic, group),
        handlers,
        pace,
        sessionTimeoutMs: options.sessionTimeoutMs ?? 30_000,
        stalledMs: options.stalledMs ?? 300_000,
        partitions: () => partitions(topic),
        onProblem,
        onOutOfRange(member, listener) {
          const listeners = outOfRange.get(member) ?? new Set()
          outOfRange.set(member, listeners.add(listener))
          return () => {
            listeners.delete(listener)
            if (listeners.size === 0) outOfRange.delete(member)
          }
        },
      })
      consumers.add(consumer)
      return consumer
    } catch (error) {
      throw unavailable(error)
    }
  }

  async function* readOn(
    topic: string,
    starting: Promise<Map<number, { offset: number; until: number }>>,
    ending: AbortController,
  ): AsyncGenerator<TailRecord> {
    const { signal } = ending
    let consumer: GroupConsumer | null = null
    try {
      const places = await starting
      if (signal.aborted) return
      if ([...places.values()].every(({ offset, until }) => offset >= until)) return
      // A group of one: nobody else knows its name, and it commits nothing.
      const isBounded = [...places.values()].every(({ until }) => until !== Infinity)
      consumer = await join(
        topic,
        `tail-${randomUUID()}`,
        { onAssigned: () => undefined, onRevoked: () => undefined },
        isBounded ? hasty : steady,
      )
      while (!signal.aborted) {
        let isQuiet = true
        for (const [partition, place] of places) {
          if (place.offset >= place.until) continue
          const read = await consumer.read(partition, place.offset, {
            maxRecords: 1_000,
            maxBytes: 1024 * 1024,
            waitMs: 0,
          })
          if (read.next > place.offset) isQuiet = false
          place.offset = read.next
          for (const record of read.records) {
            if (signal.aborted) return
            if (record.offset >= place.until) break
            yield { ...record, partition }
          }
        }
        const open = [...places].filter(([, { offset, until }]) => offset < until).map(([partition]) => partition)
        if (open.length === 0) return
        if (isQuiet) await consumer.arrived(open, signal)
      }
    } catch (error) {
      // What was under way when the log closed fails with it: the tail has ended all the same.
      if (signal.aborted) return
      if (!isPipelineError(error) || error.retryable || error.code !== 'LOG_UNAVAILABLE') throw error
      // What a group's consumer cannot come back from ends this tail alone: another begins where it was.
      throw new PipelineError('LOG_UNAVAILABLE', `A tail of ${topic} ended.`, { cause: error })
    } finally {
      ending.abort()
      if (consumer) {
        consumers.delete(consumer)
        await consumer.close()
      }
    }
  }

  /** Starts at once, so that `end` means the end at the time of the call. */
  const tail = (topic: string, { from = 'end', until, signal }: TailOptions = {}): AsyncIterable<TailRecord> => {
    const ending = new AbortController()
    for (const source of signal ? [closing.signal, signal] : [closing.signal]) {
      if (source.aborted) ending.abort()
      source.addEventListener('abort', () => ending.abort(), { once: true, signal: ending.signal })
    }
    const starting = partitions(topic).then(
      (states) =>
        new Map(
          states
            .filter(({ partition }) => until?.has(partition) ?? true)
            .map(({ partition, start, end }) => [
              partition,
              {
                offset: from === 'end' ? end : Math.max(start, from === 'start' ? 0 : (from.get(partition) ?? 0)),
                until: until?.get(partition) ?? Infinity,
              },
            ]),
        ),
    )
    starting.catch(() => undefined) // Thrown by the iteration.
    return readOn(topic, starting, ending)
  }

  /** The first record that anybody wrote there; whoever finds none writes one, and reads which was first. */
  const readIdentity = async (): Promise<string> => {
    const [state] = await partitions(identityTopic)
    if (state!.end === 0) await producer.append(nameOf(identityTopic), 1, [{ key: 'log', value: randomUUID() }])
    for await (const { value } of tail(identityTopic, { from: 'start', until: new Map([[0, 1]]) })) {
      const logId = value.toString('utf8')
      if (/^[0-9a-f-]{36}$/.test(logId)) return logId
    }
    throw new PipelineError('LOG_CORRUPT', `${nameOf(identityTopic)} does not begin with the log's identity.`)
  }

  let closes: Promise<void> | null = null
  const close = async (): Promise<void> => {
    closing.abort()
    await Promise.all([...consumers].map((consumer) => consumer.close()))
    await within(closeMs, producer.close())
    await within(closeMs, admin.disconnect())
  }

  let logId: string
  try {
    await admin.connect()
    logId = await readIdentity()
  } catch (error) {
    await close()
    throw unavailable(error)
  }

  return {
    logId,
    async append(topic, records: readonly LogRecord[]) {
      if (closing.signal.aborted) throw new PipelineError('LOG_UNAVAILABLE', 'The log is closed.')
      if (records.length < 1 || records.length > maxRecords)
        throw new RangeError(`An append takes 1 to ${maxRecords} records, not ${records.length}.`)
      for (const { value } of records) {
        if (value.length * 3 > maxRecordBytes && Buffer.byteLength(value) > maxRecordBytes)
          throw new RangeError(`A record has at most ${maxRecordBytes} bytes, not ${Buffer.byteLength(value)}.`)
      }
      let count: number
      try {
        count = await partitionCount(topic)
      } catch (error) {
        throw unavailable(error)
      }
      return producer.append(nameOf(topic), count, records)
    },
    async consume(topic, group, handlers) {
      const consumer = await join(topic, group, handlers, steady)
      return {
        position: (partition) => consumer.position(partition),
        claim: (partition, end) => consumer.claim(partition, end),
        read: (partition, from, limits) => consumer.read(partition, from, limits),
        advance: (partition, next) => consumer.advance(partition, next),
        async close() {
          consumers.delete(consumer)
          await consumer.close()
        },
      }
    },
    tail,
    partitions,
    async forget(topic, ends) {
      const before = (await partitions(topic)).flatMap(({ partition, start, end }) => {
        const offset = Math.min(end, ends[partition] ?? 0)
        return offset > start ? [{ partition, offset: String(offset) }] : []
      })
      try {
        if (before.length > 0)
          await inTurn(() => admin.deleteTopicRecords({ topic: nameOf(topic), partitions: before }))
      } catch (error) {
        throw unavailable(error)
      }
    },
    async members(topic, group) {
      try {
        const { groups } = await inTurn(() => admin.describeGroups([groupOf(topic, group)]))
        return groups.reduce((sum, { members }) => sum + members.length, 0)
      } catch (error) {
        throw unavailable(error)
      }
    },
    close: () => (closes ??= close()),
  }
}
