import { crc32, gunzip, gunzipSync, gzip, gzipSync } from 'node:zlib'
import { promisify } from 'node:util'
import { PipelineError } from '@footfall/contracts/errors'
import kafkajs, { type Kafka, type Message, type Producer } from 'kafkajs'
import type { AppendResult, LogRecord } from './event-log.ts'

/** Bytes of records a send carries at most, before compression; a batch of a partition must fit the topic's limit. */
export const maxSendBytes = 4 * 1024 * 1024
/** Beyond this much waiting for the brokers, senders wait instead of our memory. */
const maxWaitingBytes = 64 * 1024 * 1024
/** A partition's part of a send that is smaller costs more time by it than it saves bytes. */
const compressFromBytes = 4 * 1024
const requestTimeoutMs = 10_000

const compress = promisify(gzip)
const decompress = promisify(gunzip)
/** Below this a thread and its streams cost more than the work: a partition's part of a send is often a few KiB. */
const inlineBytes = 64 * 1024
// Level 1 takes half the time of the client's own for a tenth more bytes.
kafkajs.CompressionCodecs[kafkajs.CompressionTypes.GZIP] = () => ({
  compress: async ({ buffer }: { buffer: Buffer }) =>
    buffer.length < inlineBytes
      ? gzipSync(buffer, { level: 1, chunkSize: inlineBytes })
      : compress(buffer, { level: 1, chunkSize: inlineBytes }),
  decompress: async (buffer: Buffer) => (buffer.length < inlineBytes ? gunzipSync(buffer) : decompress(buffer)),
})

interface Append {
  readonly topic: string
  readonly positions: AppendResult['positions'][number][]
  left: number
  settle(error: PipelineError | null): void
}

interface Waiting {
  readonly append: Append
  readonly index: number
  readonly record: LogRecord
  readonly partition: number
  readonly bytes: number
}

export interface BatchingProducer {
  /** @param partitions of the topic. @throws LOG_UNAVAILABLE; some records may be written. */
  append(topic: string, partitions: number, records: readonly LogRecord[]): Promise<AppendResult>
  close(): Promise<void>
}

/** The partition that a key belongs to, fixed for ever by the number of partitions. */
export const partitionOf = (key: string, partitions: number): number => crc32(key) % partitions

/**
 * Sends records in batches that form by themselves: one send is under way, all that comes meanwhile goes along with the
 * next. Never two at once: with more in flight the client has acknowledged records that it lost.
 * Plain, not idempotent: idempotence does not outlive a leader's death in this client, and readers deduplicate anyway.
 * A producer whose send failed is thrown away: what it knows of the cluster may be what failed it.
 */
export function createBatchingProducer(kafka: Kafka): BatchingProducer {
  const waiting: Waiting[] = []
  let waitingBytes = 0
  let isSending = false
  let isClosed = false
  let producer: Promise<Producer> | null = null
  /**
   * Base offsets that this producer had acknowledged, by topic and partition: each one can be given once. Forgotten with
   * it, since a topic that was made anew gives them again.
   */
  const acknowledged = new Map<string, bigint>()
  let idle: () => void = () => undefined

  const connect = async (): Promise<Producer> => {
    const made = kafka.producer({
      allowAutoTopicCreation: false,
      idempotent: false,
      maxInFlightRequests: 1,
      // Where each record goes is decided before.
      createPartitioner:
        () =>
        ({ message }) =>
          message.partition!,
      retry: { retries: 6, initialRetryTime: 100, maxRetryTime: 2_000 },
    })
    try {
      await made.connect()
    } catch (error) {
      // Its connections and timers would go on without anybody. Not waited for: brokers that hang answer nothing.
      made.disconnect().catch(() => undefined)
      throw error
    }
    return made
  }

  /** The next send: in the order they came, one topic. */
  const take = (): Waiting[] => {
    const topic = waiting[0]!.append.topic
    let count = 0
    let bytes = 0
    for (const one of waiting) {
      if (one.append.topic !== topic || (count > 0 && bytes + one.bytes > maxSendBytes)) break
      bytes += one.bytes
      count++
    }
    waitingBytes -= bytes
    return waiting.splice(0, count)
  }

  const send = async (batch: readonly Waiting[]): Promise<void> => {
    const topic = batch[0]!.append.topic
    const byPartition = new Map<number, Waiting[]>()
    const messages = batch.map((one): Message => {
      const { record, partition } = one
      const others = byPartition.get(partition)
      if (others) others.push(one)
      else byPartition.set(partition, [one])
      return { key: record.key, value: record.value, partition }
    })
    const bytes = batch.reduce((sum, one) => sum + one.bytes, 0)
    const results = await (
      await (producer ??= connect())
    ).sendBatch({
      acks: -1,
      timeout: requestTimeoutMs,
      compression:
        bytes >= compressFromBytes * byPartition.size ? kafkajs.CompressionTypes.GZIP : kafkajs.CompressionTypes.None,
      topicMessages: [{ topic, messages }],
    })
    for (const { partition, baseOffset } of results) {
      const base = BigInt(baseOffset ?? '-1')
      const place = `${topic}/${partition}`
      if (base <= (acknowledged.get(place) ?? -1n)) throw new Error(`${place} acknowledged offset ${base} twice`)
      acknowledged.set(place, base)
      byPartition.get(partition)?.forEach(({ append, index }, nth) => {
        append.positions[index] = { partition, offset: Number(base) + nth }
      })
      byPartition.delete(partition)
    }
    if (byPartition.size > 0) throw new Error(`${topic} acknowledged only some partitions`)
  }

  const pump = async (): Promise<void> => {
    if (isSending) return
    isSending = true
    while (waiting.length > 0) {
      const batch = take()
      let failure: PipelineError | null = null
      try {
        await send(batch)
      } catch (error) {
        failure = new PipelineError('LOG_UNAVAILABLE', error instanceof Error ? error.message : String(error), {
          cause: error,
        })
        const broken = producer
        producer = null
        acknowledged.clear()
        broken?.then((one) => one.disconnect()).catch(() => undefined)
      }
      for (const { append } of batch) {
        append.left--
        if (failure) append.settle(failure)
        else if (append.left === 0) append.settle(null)
      }
    }
    isSending = false
    idle()
  }

  return {
    append(topic, partitions, records) {
      if (isClosed) return Promise.reject(new PipelineError('LOG_UNAVAILABLE', 'The log is closed.'))
      const sizes = records.map(({ key, value }) => Buffer.byteLength(value) + key.length)
      const bytes = sizes.reduce((sum, size) => sum + size, 0)
      if (waitingBytes > 0 && waitingBytes + bytes > maxWaitingBytes)
        return Promise.reject(new PipelineError('LOG_UNAVAILABLE', 'Kafka does not keep up.'))
      return new Promise((resolve, reject) => {
        const append: Append = {
          topic,
          positions: [],
          left: records.length,
          settle: (error) => (error ? reject(error) : resolve({ positions: append.positions })),
        }
        records.forEach((record, index) =>
          waiting.push({ append, index, record, partition: partitionOf(record.key, partitions), bytes: sizes[index]! }),
        )
        waitingBytes += bytes
        // What comes in the same turn of the event loop goes along.
        setImmediate(() => void pump())
      })
    },
    async close() {
      if (isClosed) return
      isClosed = true
      if (isSending || waiting.length > 0) await new Promise<void>((resolve) => (idle = resolve))
      await producer?.then((one) => one.disconnect()).catch(() => undefined)
    },
  }
}
