import { PipelineError, isPipelineError } from '@footfall/contracts/errors'
import type { EmbeddedExtras } from './embedded.ts'
import { waitUnless, within } from './within.ts'
import type { AppendResult, EventLog, LogConsumer, LogRecord, StoredRecord } from './event-log.ts'

export interface SpoolingLogOptions {
  /** Connects to the shared log. Tried again until it works; called once at a time. @throws LOG_UNAVAILABLE */
  readonly connect: () => Promise<EventLog>
  /** Takes what the shared log does not. Its directory belongs to this process alone. */
  readonly spool: EventLog & Pick<EmbeddedExtras, 'reclaim'>
  /** Topics that may be spooled: those whose readers deduplicate. */
  readonly topics: readonly string[]
  /** An append that is not answered within this time goes to the spool. Default 1,000. */
  readonly timeoutMs?: number
  readonly onProblem?: (problem: string) => void
  /** Resolves after a time, or at once when the signal aborts. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>
}

/** What only the owner of a spool asks. */
export interface SpoolingExtras {
  /** Records that wait in the spool. */
  spooled(): Promise<number>
  /** Whether appends go to the shared log at present. */
  isShared(): boolean
  /** Resolves when the spool has been empty once. */
  drained(): Promise<void>
}

const drainGroup = 'drain'
const recordsPerAppend = 2_000
const bytesPerAppend = 2 * 1024 * 1024
/** The spool keeps a record's key before its text, as `length key text`. */
const toSpooled = ({ key, value }: LogRecord): LogRecord => ({ key, value: `${key.length} ${key}${value}` })
function readSpooled({ value }: StoredRecord): LogRecord {
  const text = value.toString('utf8')
  const start = text.indexOf(' ') + 1
  const end = start + Number(text.slice(0, start))
  return { key: text.slice(start, end), value: text.slice(end) }
}
const firstRetryMs = 100
const lastRetryMs = 2_000
const idleMs = 1_000
const closeMs = 5_000

/**
 * A shared log before a spool of its own: what the shared log does not take in time goes to this process's disk, durable
 * as there, and is handed on when it answers again. After the first append that was late nothing else waits for it: the
 * spool takes everything until a record of the spool has gone through. A record may be in both: readers deduplicate.
 *
 * Only appends are spooled; whoever reads needs the shared log. `logId` throws until it was reached once.
 */
export function openSpoolingEventLog(options: SpoolingLogOptions): EventLog & SpoolingExtras {
  const { spool } = options
  const timeoutMs = options.timeoutMs ?? 1_000
  const onProblem = options.onProblem ?? (() => undefined)
  const wait = options.wait ?? waitUnless
  const closing = new AbortController()
  let shared: EventLog | null = null
  /** Whether the shared log answered last time. */
  let answers = false
  let problem = ''
  const note = (text: string): void => {
    if (text !== problem && text !== '') onProblem(text)
    problem = text
  }

  const reach = (): EventLog => {
    if (closing.signal.aborted) throw new PipelineError('LOG_UNAVAILABLE', 'The log is closed.')
    if (!shared) throw new PipelineError('LOG_UNAVAILABLE', problem || 'It is being connected.')
    return shared
  }

  const connecting = (async () => {
    for (let delay = firstRetryMs; !closing.signal.aborted; delay = Math.min(lastRetryMs, delay * 2)) {
      try {
        const log = await options.connect()
        if (closing.signal.aborted) return log.close()
        shared = log
        answers = true
        return
      } catch (error) {
        if (!isPipelineError(error) || !error.retryable) throw error
        note(`the shared log is away, events go to the spool: ${error.message}`)
        await wait(delay, closing.signal)
      }
    }
  })()

  /** Where the records are in the shared log; null when it did not take them in time. */
  const tryShared = async (topic: string, records: readonly LogRecord[]): Promise<AppendResult | null> => {
    if (!shared || !answers) return null
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<null>((resolve) => (timer = setTimeout(() => resolve(null), timeoutMs)))
    // Heard of here whether or not it came in time.
    const sent = shared.append(topic, records).catch((error: unknown) => {
      if (!isPipelineError(error)) throw error
      return error
    })
    const outcome = await Promise.race([sent, late]).finally(() => clearTimeout(timer))
    if (outcome !== null && !(outcome instanceof PipelineError)) return outcome
    answers = false
    note(`events go to the spool: ${outcome?.message ?? `the shared log did not answer within ${timeoutMs} ms`}`)
    return null
  }

  let empty: () => void = () => undefined
  const drainedOnce = new Promise<void>((resolve) => (empty = resolve))
  /** First offset of the spool that is not in the shared log, by topic. */
  const handedOn = new Map<string, number>()

  /** Hands a topic's spool on, from where the last process came to. @throws what the spool's disk refuses. */
  const handOn = async (topic: string, isEmpty: () => void): Promise<void> => {
    let assigned: (partition: number) => void = () => undefined
    const partition = new Promise<number>((resolve) => (assigned = resolve))
    const consumer: LogConsumer = await spool.consume(topic, drainGroup, {
      onAssigned: (number) => assigned(number),
      onRevoked: () => undefined,
    })
    closing.signal.addEventListener('abort', () => void consumer.close(), { once: true })
    const number = await partition
    let { next } = await consumer.position(number)
    handedOn.set(topic, next)
    let delay = firstRetryMs
    while (!closing.signal.aborted) {
      const read = await consumer.read(number, next, {
        maxRecords: recordsPerAppend,
        maxBytes: bytesPerAppend,
        waitMs: 0,
      })
      if (read.next === next) {
        isEmpty()
        await consumer.read(number, next, { maxRecords: 1, maxBytes: 1, waitMs: idleMs })
        continue
      }
      try {
        await reach().append(topic, read.records.map(readSpooled))
        await consumer.advance(number, read.next)
        next = read.next
        handedOn.set(topic, next)
        delay = firstRetryMs
        answers = true
        note('')
        if (next >= (await spool.partitions(topic))[0]!.end) await spool.reclaim()
      } catch (error) {
        if (!isPipelineError(error)) throw error
        answers = false
        // Until it is connected, why not is said there.
        if (shared) note(`the spool waits for the shared log: ${error.message}`)
        await wait(delay, closing.signal)
        delay = Math.min(lastRetryMs, delay * 2)
      }
    }
    await consumer.close()
  }
  const drain = async (topic: string, isEmpty: () => void): Promise<void> => {
    while (!closing.signal.aborted) {
      try {
        await handOn(topic, isEmpty)
      } catch (error) {
        if (!isPipelineError(error) || !error.retryable) throw error
        note(`the spool waits for its disk: ${error.message}`)
        await wait(lastRetryMs, closing.signal)
      }
    }
  }
  const waitingTopics = new Set(options.topics)
  const draining = Promise.all(
    options.topics.map((topic) =>
      drain(topic, () => {
        waitingTopics.delete(topic)
        if (waitingTopics.size === 0) empty()
      }),
    ),
  )
  const ended = Promise.all([connecting, draining])
  ended.catch((error: unknown) => {
    if (!closing.signal.aborted) onProblem(`the spool has stopped: ${String(error)}`)
  })

  const spooled = async (): Promise<number> => {
    let count = 0
    for (const topic of options.topics) {
      const [state] = await spool.partitions(topic)
      count += state!.end - (handedOn.get(topic) ?? state!.start)
    }
    return count
  }

  let closes: Promise<void> | null = null
  const close = async (): Promise<void> => {
    closing.abort()
    await shared?.close()
    // What is under way to brokers that are gone is in the spool all the same.
    await within(closeMs, ended)
    await spool.close()
  }

  return {
    get logId() {
      return reach().logId
    },
    async append(topic, records) {
      if (closing.signal.aborted) throw new PipelineError('LOG_UNAVAILABLE', 'The log is closed.')
      if (!options.topics.includes(topic)) return reach().append(topic, records)
      const sent = await tryShared(topic, records)
      if (sent) return sent
      try {
        return await spool.append(topic, records.map(toSpooled))
      } catch (error) {
        // Nothing waits there that could go through and so tell that the shared log answers: the next append asks it.
        const waits = await spooled().catch(() => 0)
        if (waits === 0) answers = shared !== null
        throw error
      }
    },
    consume: async (topic, group, handlers) => reach().consume(topic, group, handlers),
    tail(topic, tailOptions) {
      return reach().tail(topic, tailOptions)
    },
    partitions: async (topic) => reach().partitions(topic),
    spooled,
    isShared: () => answers,
    drained: () => drainedOnce,
    close: () => (closes ??= close()),
  }
}
