import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { PipelineError } from '@footfall/contracts/errors'
import { makeConsumer, savePosition, type FencedConsumer, type Groups } from './consumers.ts'
import { makeContext } from './context.ts'
import type {
  AppendResult,
  EventLog,
  LogRecord,
  PartitionState,
  Position,
  StoredRecord,
  TailOptions,
  TailRecord,
} from './event-log.ts'
import { errnoOf, realFiles, replaceFile, syncDirectory, type LogFiles } from './files.ts'
import { maxRecordBytes } from './frame.ts'
import { lockDirectory } from './lock.ts'
import { copyLog, reclaimPartition, rewritePartition, snapshotPartition } from './maintenance.ts'
import type { Partition, Ticket } from './partition.ts'
import { makeCursor, readRecords, startOf, waitForRecords } from './reader.ts'
import { createTopic, listPartitions, listTopics, recoverPartition, type CutTail } from './recovery.ts'

export interface EmbeddedLogOptions {
  readonly directory: string
  /** Size budget; from 80 % of it on appends throw LOG_FULL. Default 8 GiB. */
  readonly maxBytes?: number
  /** A segment is sealed before it would grow over this. Default 64 MiB. */
  readonly segmentBytes?: number
  /** How long consumed segments are kept while there is room. Default 24 h. */
  readonly retentionMs?: number
  /** Topics whose segments go by age alone, consumed or not: milliseconds by topic. */
  readonly retainMs?: Readonly<Record<string, number>>
  /** Partitions by topic, default 1; fixed once a topic exists. */
  readonly partitions?: Readonly<Record<string, number>>
  /** Below this much free disk appends throw LOG_FULL. Default 256 MiB; 0: not looked at. */
  readonly minFreeBytes?: number
  /** Unix milliseconds. */
  readonly now?: () => number
  /** For tests that make the disk fail. */
  readonly files?: LogFiles
}

export interface LogStats {
  readonly bytes: number
  readonly segments: number
  /** Free bytes of the disk it lies on. */
  readonly freeBytes: number
}

/** What only the process that owns an embedded log can ask of it. */
export interface EmbeddedExtras {
  /** Resolves when the disk failed and nothing is written any more: end the process and start again. */
  readonly failed: Promise<PipelineError>
  /** Torn tails that opening cut: bytes that no caller was promised. */
  readonly cutTails: readonly CutTail[]
  /** Sets a group's position; nothing may consume. @throws CONFLICT when a consumer is open */
  setPosition(topic: string, group: string, partition: number, position: Position): Promise<void>
  /** Durably makes the next offset at least `offset`, leaving a gap: after a restore, when the store is ahead. */
  skipTo(topic: string, partition: number, offset: number): Promise<void>
  /** Removes the records that `keep` refuses from what is in the partition now; offsets stay. @returns how many. */
  rewrite(topic: string, partition: number, keep: (record: StoredRecord) => boolean): Promise<number>
  /** Frees segments that nobody needs any more. @returns bytes. */
  reclaim(): Promise<number>
  stats(): Promise<LogStats>
  /** Copies the log as it is now to an absent or empty directory, while appends go on. */
  copyTo(directory: string): Promise<void>
}

/** Where a tail is in a partition. */
interface TailPlace {
  readonly partition: Partition
  readonly until: number
  readonly cursor: ReturnType<typeof makeCursor>
  offset: number
}

interface Topic {
  readonly name: string
  readonly members: readonly { partition: Partition; groups: Groups }[]
  readonly consumers: Map<string, FencedConsumer>
}

const hourMs = 3_600_000
const maxRecords = 10_000
/** Beyond this much waiting for the disk, senders wait instead of our memory. */
const maxWaitingBytes = 64 * 1024 * 1024

/**
 * Opens the segment log in a directory, creates it when it is not there, and recovers it after a crash.
 * An append resolves after its write and fdatasync. ENOSPC refuses with LOG_FULL and is tried again by the next append;
 * any other failed write or sync stops the log (LOG_UNAVAILABLE, `failed`).
 * @throws LOG_LOCKED naming the owner's process id; LOG_CORRUPT naming file and byte.
 */
export async function openEmbeddedEventLog(options: EmbeddedLogOptions): Promise<EventLog & EmbeddedExtras> {
  const { directory, files = realFiles, now = Date.now, retentionMs = 24 * hourMs } = options
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const lock = await lockDirectory(directory)
  const context = makeContext({
    directory,
    files,
    now,
    segmentBytes: options.segmentBytes ?? 64 * 1024 * 1024,
    maxBytes: options.maxBytes ?? 8 * 1024 ** 3,
    minFreeBytes: options.minFreeBytes ?? 256 * 1024 * 1024,
    onTight: reclaimSoon,
  })
  const topics = new Map<string, Topic>()
  const opening = new Map<string, Promise<Topic>>()
  const cutTails: CutTail[] = []
  const closed = new AbortController()
  let maintaining: Promise<unknown> = Promise.resolve()
  let reclaiming = false
  let closes: Promise<void> | null = null
  let logId: string
  try {
    const present = await listTopics(directory)
    logId = await readLogId(files, directory, present)
    for (const name of present) topics.set(name, await openTopic(name))
    if ((options.minFreeBytes ?? 1) > 0) await context.freeBytes()
  } catch (error) {
    await Promise.all([...topics.values()].flatMap(({ members }) => members.map(({ partition }) => partition.close())))
    await lock.release()
    throw error
  }

  return {
    logId,
    failed: context.failed,
    cutTails,
    append,
    tail,

    consume: async (name, group, handlers) => {
      const topic = await topicOf(name)
      checkName(group)
      const former = topic.consumers.get(group)
      if (former !== undefined) {
        topic.consumers.delete(group)
        await former.fence()
      }
      for (const { partition, groups } of topic.members) {
        // Known from now on: what it has not consumed is kept.
        if (!groups.has(group)) await savePosition(context, partition, groups, group, { next: startOf(partition) })
      }
      // Another one may have joined during these saves: the last one stays.
      await topic.consumers.get(group)?.fence()
      const consumer = makeConsumer(context, group, topic.members, handlers, reclaimSoon)
      topic.consumers.set(group, consumer)
      // After the caller has its consumer.
      setImmediate(() => {
        if (topic.consumers.get(group) !== consumer) return
        for (const { partition } of topic.members) void handlers.onAssigned(partition.number)
      })
      const close = async () => {
        if (topic.consumers.get(group) === consumer) topic.consumers.delete(group)
        await consumer.close()
      }
      return { ...consumer, close }
    },

    partitions: async (name) => (await topicOf(name)).members.map(({ partition }) => stateOf(partition)),

    setPosition: async (name, group, number, position) => {
      const topic = await topicOf(name)
      checkName(group)
      if (topic.consumers.has(group)) throw new PipelineError('CONFLICT', `${group} consumes ${name}.`)
      const { partition, groups } = memberOf(topic, number)
      const end = Math.max(position.next, position.claimed ?? 0)
      if (!(position.next >= 0 && end <= partition.next())) {
        throw new RangeError(`Cannot set ${name}/${number} to ${end}: the log ends at ${partition.next()}.`)
      }
      await savePosition(context, partition, groups, group, position)
    },

    skipTo: async (name, number, offset) => {
      const { partition } = memberOf(await topicOf(name), number)
      if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`${offset} is no offset.`)
      if (offset > partition.next()) await partition.roll(offset)
    },

    rewrite: async (name, number, keep) => {
      const { partition } = memberOf(await topicOf(name), number)
      return maintain(() => rewritePartition(context, partition, keep))
    },

    reclaim: () => maintain(reclaim),

    stats: async () => ({
      bytes: context.bytes,
      segments: allMembers().reduce((sum, { partition }) => sum + partition.segments.length, 0),
      freeBytes: await context.freeBytes(),
    }),

    copyTo: (target) =>
      maintain(async () => {
        const snapshots = [...topics.values()].flatMap(({ name, members }) =>
          members.map(({ partition, groups }) => snapshotPartition(name, partition, groups)),
        )
        await copyLog(context, logId, snapshots, target)
      }),

    close: () => (closes ??= close()),
  }

  function append(name: string, records: readonly LogRecord[]): Promise<AppendResult> {
    const refusal = context.refusal()
    if (refusal !== null) return Promise.reject(refusal)
    const wrong = checkRecords(records)
    if (wrong !== null) return Promise.reject(wrong)
    const topic = topics.get(name)
    return topic === undefined ? topicOf(name).then((made) => appendTo(made, records)) : appendTo(topic, records)
  }

  function appendTo(topic: Topic, records: readonly LogRecord[]): Promise<AppendResult> {
    return new Promise((resolve, reject) => {
      const positions: AppendResult['positions'][number][] = []
      const ticket: Ticket = {
        left: 0,
        error: null,
        positions,
        settle: () => (ticket.error === null ? resolve({ positions }) : reject(ticket.error)),
      }
      const { members } = topic
      const waiting = members.reduce((sum, { partition }) => sum + partition.waitingBytes(), 0)
      if (waiting > maxWaitingBytes) {
        return reject(new PipelineError('LOG_UNAVAILABLE', 'The disk does not keep up.'))
      }
      const only = members.length === 1 ? members[0] : undefined
      if (only !== undefined) return only.partition.enqueue(records, null, ticket)
      const indexes = members.map((): number[] => [])
      records.forEach(({ key }, index) => indexes[crc32(key) % members.length]?.push(index))
      members.forEach(({ partition }, number) => partition.enqueue(records, indexes[number] ?? [], ticket))
    })
  }

  /** Starts at once, so that `end` means the end at the time of the call. */
  function tail(name: string, tailOptions: TailOptions = {}): AsyncIterable<TailRecord> {
    const { from = 'end', until } = tailOptions
    const offsetOf = (partition: Partition): number => {
      if (from === 'end') return partition.next()
      return Math.max(startOf(partition), from === 'start' ? 0 : (from.get(partition.number) ?? 0))
    }
    const places = topicOf(name).then(({ members }) =>
      members
        .filter(({ partition }) => until?.has(partition.number) ?? true)
        .map(({ partition }) => ({
          partition,
          offset: offsetOf(partition),
          until: until?.get(partition.number) ?? Infinity,
          cursor: makeCursor(),
        })),
    )
    places.catch(() => undefined) // Thrown by the iteration.
    const ending = new AbortController()
    const signals = tailOptions.signal ? [closed.signal, tailOptions.signal] : [closed.signal]
    for (const signal of signals) {
      if (signal.aborted) ending.abort()
      signal.addEventListener('abort', () => ending.abort(), { once: true, signal: ending.signal })
    }
    return readOn(places, ending)
  }

  async function* readOn(starting: Promise<TailPlace[]>, ending: AbortController): AsyncGenerator<TailRecord> {
    const { signal } = ending
    try {
      let places = await starting
      while (!signal.aborted) {
        places = places.filter(({ offset, until }) => offset < until)
        if (places.length === 0) return
        for (const place of places) {
          const limits = { maxRecords: 1000, maxBytes: 1024 * 1024 }
          const read = await readRecords(context, place.partition, place.offset, limits, place.cursor)
          place.offset = read.next
          for (const record of read.records) {
            if (signal.aborted) return
            if (record.offset >= place.until) break
            yield { ...record, partition: place.partition.number }
          }
        }
        if (places.every(({ offset, until }) => offset < until)) await waitForRecords(places, null, signal)
      }
    } finally {
      ending.abort()
    }
  }

  function topicOf(name: string): Promise<Topic> {
    const topic = topics.get(name)
    if (topic !== undefined) return Promise.resolve(topic)
    const made = opening.get(name) ?? makeTopic(name).finally(() => opening.delete(name))
    opening.set(name, made)
    return made
  }

  async function makeTopic(name: string): Promise<Topic> {
    checkName(name)
    const refusal = context.refusal()
    if (refusal !== null) throw refusal
    try {
      await createTopic(context, directory, name, options.partitions?.[name] ?? 1)
    } catch (error) {
      if (errnoOf(error) === 'ENOSPC') throw new PipelineError('LOG_FULL', undefined, { cause: error })
      throw context.fail(error, `Creating the topic ${name}`)
    }
    const topic = await openTopic(name)
    topics.set(name, topic)
    return topic
  }

  async function openTopic(name: string): Promise<Topic> {
    const path = join(directory, name)
    const numbers = await listPartitions(path)
    const wanted = options.partitions?.[name]
    if (wanted !== undefined && wanted !== numbers.length) {
      throw new RangeError(`Topic ${name} has ${numbers.length} partitions, not ${wanted}: their number is fixed.`)
    }
    const members: { partition: Partition; groups: Groups }[] = []
    for (const number of numbers) {
      members.push(await recoverPartition(context, join(path, String(number)), number, (tail) => cutTails.push(tail)))
    }
    return { name, members, consumers: new Map() }
  }

  function allMembers() {
    return [...topics.values()].flatMap(({ members }) => members)
  }

  /** Runs one maintenance task at a time: none sees another's half-replaced files. */
  function maintain<T>(task: () => Promise<T>): Promise<T> {
    const done = maintaining.then(task)
    maintaining = done.catch(() => undefined) // The caller hears of it.
    return done
  }

  async function reclaim(): Promise<number> {
    let freed = 0
    for (const { name, members } of topics.values()) {
      const retention = { consumedMs: retentionMs, byAgeMs: options.retainMs?.[name] }
      for (const { partition, groups } of members)
        freed += await reclaimPartition(context, partition, groups, retention)
    }
    return freed
  }

  function reclaimSoon(): void {
    if (reclaiming || context.closing) return
    reclaiming = true
    // A removal that fails leaves a segment for the next try; a failed sync has stopped the log.
    void maintain(reclaim)
      .catch(() => undefined)
      .finally(() => (reclaiming = false))
  }

  async function close(): Promise<void> {
    context.closing = true
    closed.abort()
    await Promise.allSettled(opening.values())
    for (const topic of topics.values()) {
      for (const consumer of topic.consumers.values()) await consumer.close()
    }
    await maintaining
    await Promise.all(allMembers().map(({ partition }) => partition.close()))
    await lock.release()
  }
}

function stateOf(partition: Partition): PartitionState {
  return { partition: partition.number, start: startOf(partition), end: partition.next() }
}

function memberOf(topic: Topic, number: number) {
  const member = topic.members[number]
  if (member === undefined) throw new RangeError(`${topic.name} has no partition ${number}.`)
  return member
}

/** Names become directories and files. */
function checkName(name: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name) || name === 'lock' || name === 'logid') {
    throw new RangeError(`"${name}" is no name for a topic or a group.`)
  }
}

function checkRecords(records: readonly LogRecord[]): RangeError | null {
  if (records.length < 1 || records.length > maxRecords) {
    return new RangeError(`An append takes 1 to ${maxRecords} records, not ${records.length}.`)
  }
  for (const { value } of records) {
    if (value.length * 3 > maxRecordBytes && Buffer.byteLength(value) > maxRecordBytes) {
      return new RangeError(`A record has at most ${maxRecordBytes} bytes, not ${Buffer.byteLength(value)}.`)
    }
  }
  return null
}

/** The log's identity, made with it. @throws LOG_CORRUPT when there are topics without one: a copy that was cut short. */
async function readLogId(files: LogFiles, directory: string, topics: readonly string[]): Promise<string> {
  const path = join(directory, 'logid')
  try {
    const logId = (await readFile(path, 'utf8')).trim()
    if (/^[0-9a-f-]{36}$/.test(logId)) return logId
    throw new PipelineError('LOG_CORRUPT', `${path} at byte 0: not an identity.`)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
  if (topics.length > 0) throw new PipelineError('LOG_CORRUPT', `${path} is missing but ${topics.join(', ')} is there.`)
  const logId = randomUUID()
  await replaceFile(files, path, `${logId}\n`, rename)
  await syncDirectory(files, directory)
  return logId
}
