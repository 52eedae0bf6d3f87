import { hashContent, type JournalFile } from './journal.ts'
import { newId } from './random.ts'

/** A deployment to send to. */
export interface Target {
  readonly deployment: string
  readonly key: string
}

export interface ClientOptions {
  /** Where events may go: each try to one of them. */
  readonly urls: readonly string[]
  readonly targets: readonly Target[]
  /** Origin and host of the pages. */
  readonly origin: string
  readonly journal: JournalFile
  readonly random: () => number
  readonly requestsPerSecond: number
  readonly eventsPerRequest: number
}

export interface ClientCounts {
  /** Events that were sent, each counted once. */
  events: number
  /** Requests that got no answer within `answerMs`. */
  hung: number
  /** Requests that were due while too many were under way, and were not made. */
  held: number
  /** Answers by status, and failed connections as `none`. */
  readonly answers: Record<string, number>
}

export interface Client {
  readonly counts: Readonly<ClientCounts>
  /** Makes no new events; resolves when what is under way was answered or given up. */
  stop(): Promise<void>
}

interface Draft {
  readonly id: string
  readonly [field: string]: unknown
}

const dayMs = 86_400_000
const answerMs = 10_000
const giveUpMs = 45_000
const mostUnderWay = 600
/** How many answered requests are remembered, to be sent once more. */
const mostRemembered = 500

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * Sends events as a crowd of browsers does, at a pace that no answer slows (open loop). What gets no answer, a 429 or a
 * 503 is tried again with the same ids; some senders give up instead. On purpose some events are sent again although
 * they were acknowledged, some are invalid, late, of days gone by, or carry an id that another deployment has used.
 */
export function startClient(options: ClientOptions): Client {
  const { urls, targets, origin, journal, random, eventsPerRequest } = options
  const host = new URL(origin).host
  const counts: ClientCounts = { events: 0, hung: 0, held: 0, answers: {} }
  const underWay = new Set<Promise<void>>()
  const answered: { target: Target; events: readonly Draft[] }[] = []
  let last: {
    readonly deployment: string
    readonly ids: readonly string[]
  } | null = null

  const countAnswer = (what: string): void => void (counts.answers[what] = (counts.answers[what] ?? 0) + 1)

  const newEvent = (now: number, reusedId: string | undefined): { draft: Draft; content: string; isLate: boolean } => {
    const chance = random()
    const isLate = chance < 0.01
    const daysBack = isLate ? 8 + Math.floor(random() * 20) : chance < 0.25 ? 1 + Math.floor(random() * 3) : 0
    const at = now - daysBack * dayMs
    const kind = random()
    const path = `/page-${Math.floor(random() * 40)}`
    // Letters alone: what looks like a number of something is replaced on purpose.
    const note = `note ${Math.floor(random() * 2 ** 32)
      .toString(36)
      .replace(/\d/g, (digit) => 'ABCDEFGHIJ'[Number(digit)]!)}`
    const isJourney = kind >= 0.7 && kind < 0.9
    const name =
      kind < 0.7
        ? 'page_view'
        : isJourney
          ? kind < 0.8
            ? 'journey_start'
            : 'journey_complete'
          : kind < 0.95
            ? 'rating'
            : 'permit_opened'
    const journeyId = isJourney && random() < 0.5 ? `j${Math.floor(random() * 5_000)}` : ''
    const outcome = name === 'journey_complete' ? 'done' : ''
    const rating = name === 'rating' ? 1 + Math.floor(random() * 5) : 0
    const draft: Draft = {
      id: reusedId ?? newId(now, random),
      name,
      at,
      url: `${origin}${path}?token=secret`,
      props: { note },
      ...(isJourney
        ? {
            journey: {
              name: 'permit',
              ...(journeyId ? { id: journeyId } : {}),
              ...(outcome ? { outcome } : {}),
            },
          }
        : {}),
      ...(rating ? { rating } : {}),
    }
    const content = hashContent({
      at,
      name,
      host,
      path,
      note,
      journey: isJourney ? 'permit' : '',
      journeyId,
      outcome,
      rating,
    })
    return { draft, content, isLate }
  }

  /** Breaks a valid event, so that it must be refused although its id is good. */
  const spoil = (draft: Draft): Draft => {
    const way = Math.floor(random() * 3)
    return way === 0
      ? { ...draft, name: 'Not A Name' }
      : way === 1
        ? { ...draft, url: 'javascript:alert(1)' }
        : { ...draft, surprise: true }
  }

  /** One try. Resolves to the events that should be sent again. */
  const post = async (
    target: Target,
    events: readonly Draft[],
    attempt: number,
    sender: Record<string, string>,
  ): Promise<readonly Draft[]> => {
    const body = JSON.stringify({
      key: target.key,
      sent_at: Date.now(),
      events: events.map((event) => ({ ...event, attempt })),
    })
    const signal = AbortSignal.timeout(answerMs)
    let status: number
    let text: string
    try {
      const url = urls[Math.floor(random() * urls.length)]!
      const response = await fetch(`${url}/v1/events`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'text/plain', ...sender },
        signal,
      })
      status = response.status
      text = await response.text()
    } catch {
      // Reset, refused, or cut off in the middle of an answer: the events may be in the log.
      if (signal.aborted) counts.hung++
      countAnswer('none')
      return events
    }
    countAnswer(String(status))
    const ids = (some: readonly Draft[]): string[] => some.map(({ id }) => id)
    if (status === 202) {
      const { receipts } = JSON.parse(text) as {
        receipts: { index: number; result: string }[]
      }
      const results = new Map(receipts.map(({ index, result }) => [index, result]))
      journal.answered(target.deployment, ids(events.filter((_, index) => !results.has(index))), 'acked')
      journal.answered(
        target.deployment,
        ids(events.filter((_, index) => results.get(index) === 'dropped')),
        'rejected',
      )
      return events.filter((_, index) => results.get(index) === 'retry')
    }
    if (status >= 400 && status < 500 && status !== 429 && status !== 408) {
      journal.answered(target.deployment, ids(events), 'rejected')
      return []
    }
    return events
  }

  const deliver = async (
    target: Target,
    events: readonly Draft[],
    sender: Record<string, string>,
    isPatient: boolean,
  ): Promise<boolean> => {
    const began = Date.now()
    let left = events
    for (let attempt = 1; ; attempt++) {
      left = await post(target, left, Math.min(attempt, 1_000), sender)
      if (left.length === 0) return true
      if (!isPatient || Date.now() - began > giveUpMs) return false
      await pause(50 + random() * Math.min(1_000, 50 * 2 ** attempt))
    }
  }

  const sendNew = async (): Promise<void> => {
    const target = targets[Math.floor(random() * targets.length)]!
    const agent = `Mozilla/5.0 (X11; Linux x86_64; rv:${100 + Math.floor(random() * 40)}.0) Gecko/20100101 Firefox/${100 + Math.floor(random() * 40)}.0`
    const now = Date.now()
    // Ids that another deployment has just used: here they are new.
    const reused = last && last.deployment !== target.deployment && random() < 0.05 ? last.ids : []
    const made = Array.from({ length: eventsPerRequest }, (_, index) => newEvent(now, reused[index]))
    const events = made.map(({ draft }) => (random() < 0.02 ? spoil(draft) : draft))
    const isStranger = random() < 0.01
    const sender = {
      origin: isStranger ? 'https://elsewhere.example' : origin,
      'user-agent': agent,
    }
    last =
      reused.length > 0
        ? null
        : {
            deployment: target.deployment,
            ids: made.map(({ draft }) => draft.id),
          }
    journal.sending(
      made.map(({ draft, content, isLate }) => ({
        deployment: target.deployment,
        id: draft.id,
        content,
        isLate,
      })),
    )
    counts.events += events.length
    const isDone = await deliver(target, events, sender, random() >= 0.02)
    if (!isDone || isStranger) return
    if (answered.length < mostRemembered) answered.push({ target, events })
    else answered[Math.floor(random() * mostRemembered)] = { target, events }
    // A sender that missed the answer sends the very same again.
    if (random() < 0.05) await deliver(target, events, sender, false)
  }

  const sendAgain = async (): Promise<void> => {
    const earlier = answered[Math.floor(random() * answered.length)]
    if (earlier)
      await deliver(earlier.target, earlier.events, { origin, 'user-agent': 'Mozilla/5.0 (a later try)' }, false)
  }

  const launch = (): void => {
    if (underWay.size >= mostUnderWay) {
      counts.held++
      return
    }
    const sending = random() < 0.05 ? sendAgain() : sendNew()
    underWay.add(sending)
    void sending.finally(() => underWay.delete(sending))
  }
  let due = Date.now()
  const pace = setInterval(() => {
    for (const now = Date.now(); due <= now; due += 1_000 / options.requestsPerSecond) launch()
  }, 2)

  return {
    counts,
    async stop() {
      clearInterval(pace)
      await Promise.all(underWay)
    },
  }
}
