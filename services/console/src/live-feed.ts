import { topics, type EventRecord, type RefusalRecord } from '@footfall/contracts/event'
import type { EventLog } from '@footfall/event-log'

/** An event as the live view shows it: nothing that stands for a person. */
export type LiveEvent = Pick<
  EventRecord,
  | 'deployment'
  | 'received_at'
  | 'name'
  | 'path'
  | 'screen'
  | 'referrer'
  | 'device'
  | 'browser'
  | 'country'
  | 'test'
  | 'bot'
  | 'journey'
  | 'outcome'
  | 'rating'
>
export type LiveRefusal = Pick<RefusalRecord, 'deployment' | 'reason' | 'at' | 'count' | 'where'>

export interface Viewer {
  /** null: all. */
  readonly deployment: string | null
  event(event: LiveEvent): void
  refusal(refusal: LiveRefusal): void
  /** So many events came beyond what is shown in a second. */
  more(count: number): void
}

export interface LiveFeed {
  /** Shows what arrives from now on, until the answer is called. */
  watch(viewer: Viewer): () => void
  close(): void
}

/** Events a second that a person can still see pass. */
const shownPerSecond = 8
const secondMs = 1_000

const toLive = (record: EventRecord): LiveEvent => {
  const {
    deployment,
    received_at,
    name,
    path,
    screen,
    referrer,
    device,
    browser,
    country,
    test,
    bot,
    journey,
    outcome,
    rating,
  } = record
  return {
    deployment,
    received_at,
    name,
    path,
    screen,
    referrer,
    device,
    browser,
    country,
    test,
    bot,
    journey,
    outcome,
    rating,
  }
}

/**
 * One tail of the log for all who watch: opened by the first, closed with the last. Records are read only while
 * somebody looks; a busy second shows a few events and the number of the others.
 */
export function createLiveFeed(log: EventLog, onProblem: (error: unknown) => void): LiveFeed {
  const viewers = new Map<Viewer, { shown: number; missed: number }>()
  let stopping: AbortController | null = null
  let turn: NodeJS.Timeout | undefined

  const follow = async (topic: string, signal: AbortSignal, show: (value: unknown) => void): Promise<void> => {
    try {
      for await (const { value } of log.tail(topic, { from: 'end', signal })) {
        let record: unknown
        try {
          record = JSON.parse(value.toString('utf8'))
        } catch {
          continue // The consumer sets such a record aside and counts it; there is nothing to show.
        }
        show(record)
      }
    } catch (error) {
      if (!signal.aborted) onProblem(error)
    }
  }
  const start = (): void => {
    stopping = new AbortController()
    const { signal } = stopping
    void follow(topics.events, signal, (value) => {
      const event = toLive(value as EventRecord)
      for (const [viewer, budget] of viewers) {
        if (viewer.deployment !== null && viewer.deployment !== event.deployment) continue
        if (budget.shown >= shownPerSecond) budget.missed += 1
        else {
          budget.shown += 1
          viewer.event(event)
        }
      }
    })
    void follow(topics.refusals, signal, (value) => {
      const refusal = value as LiveRefusal
      for (const viewer of viewers.keys()) {
        if (viewer.deployment === null || viewer.deployment === refusal.deployment) viewer.refusal(refusal)
      }
    })
    turn = setInterval(() => {
      for (const [viewer, budget] of viewers) {
        if (budget.missed > 0) viewer.more(budget.missed)
        budget.shown = budget.missed = 0
      }
    }, secondMs)
  }
  const stop = (): void => {
    clearInterval(turn)
    stopping?.abort()
    stopping = null
  }

  return {
    watch(viewer) {
      viewers.set(viewer, { shown: 0, missed: 0 })
      if (stopping === null) start()
      return () => {
        viewers.delete(viewer)
        if (viewers.size === 0) stop()
      }
    },
    close() {
      viewers.clear()
      stop()
    },
  }
}
