import type { BeaconAnswer, BeaconEvent } from '@footfall/contracts/beacon'
import { uuidv7 } from './id.ts'

/** An event before it has an id and a number. */
export type EventFields = Partial<Omit<BeaconEvent, 'id' | 'at' | 'seq' | 'attempt' | 'name'>>

export type Sender = [
  /** Queues an event; it leaves with the next flush. Never throws. */
  add: (name: string, fields?: EventFields) => void,
  /** Sends what waits, whatever is in flight: the page may be going away. Not while the server asks for silence. */
  flush: () => void,
]

/**
 * Batches, sends and retries within the page's life; nothing is stored. An event stays here, with its id, until the
 * server has answered for it: what arrives twice is counted once. While events wait, a timer runs or a request is in
 * flight, whose end starts one.
 * @param allowed whether anything may be sent now; when not, what waits is forgotten.
 */
export function createSender(key: string, endpoint: string | URL, allowed: () => unknown, debug: unknown): Sender {
  /** The oldest go first. */
  const maxWaiting = 200
  /** So many leave at once, without waiting for the timer. */
  const maxBatch = 20
  const maxBodyBytes = 50_000
  /**
   * Browsers refuse more than 64 KiB in flight with keepalive (Fetch standard); beyond it a request goes without. Less
   * than that, for what is written around the events.
   */
  const maxKeepaliveBytes = 60_000
  const minBackoffMs = 1e3
  const maxBackoffMs = 300e3

  let queue: BeaconEvent[] = []
  let bytesInFlight = 0
  let seq = 0
  /** 0 unless the last answer left something to be sent again. */
  let backoffMs = 0
  /** Until when the server asked for silence, whichever request it told; every timer waits for it. */
  let notBefore = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  const page_id = uuidv7()
  const log = (what: unknown): void => {
    // An attribute without a value is ''.
    if (debug || debug === '') console.log('footfall', what)
  }
  const schedule = (ms: number): void => {
    clearTimeout(timer)
    timer = setTimeout(
      () => {
        if (!bytesInFlight) void send()
      },
      Math.max(ms, notBefore - Date.now()),
    )
  }

  async function send(): Promise<void> {
    if (!allowed()) queue = []
    if (!queue[0]) return
    const events: BeaconEvent[] = []
    let bytes = 0
    // The server takes 100 events a request.
    while (queue[0] && !events[99]) {
      bytes += new Blob([JSON.stringify(queue[0])]).size
      if (events[0] && bytes > maxBodyBytes) break
      queue[0].attempt!++
      events.push(queue.shift()!)
    }
    let retry = events
    bytesInFlight += bytes
    try {
      const response = await fetch(endpoint, {
        method: 'POST',
        // Text without a type of its own is text/plain, which needs no preflight.
        body: JSON.stringify({
          key,
          sent_at: Date.now(),
          page_id,
          time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
          events,
        }),
        keepalive: bytesInFlight < maxKeepaliveBytes,
        credentials: 'omit',
      })
      // A proxy may write a date: no number is later than nothing.
      const until =
        Date.now() + Math.min(1e3 * (response.headers.get('retry-after') as unknown as number), maxBackoffMs)
      if (until > notBefore) notBefore = until
      // Refused for good, whatever the body says.
      if (/^4(?!08|29)/.test(response.status as unknown as string)) retry = []
      const answer = (await response.json()) as Partial<BeaconAnswer>
      log(answer)
      // Only ingest answers with receipts; a captive portal's 200 does not.
      retry = answer.receipts?.flatMap((receipt) => (receipt.result === 'retry' ? events[receipt.index]! : [])) ?? retry
    } catch (error) {
      log(error)
    }
    bytesInFlight -= bytes
    queue = [...retry, ...queue].slice(-maxWaiting)
    backoffMs = retry[0] ? Math.min(2 * backoffMs || minBackoffMs, maxBackoffMs) : 0
    if (queue[0]) schedule(Math.random() * backoffMs)
  }

  const add = (name: string, fields?: EventFields): void => {
    if (!allowed()) return
    try {
      // A copy: what cannot be written as JSON fails here and alone, and the page may go on using its objects.
      const event = JSON.parse(
        JSON.stringify({ id: uuidv7(), name, at: Date.now(), seq, attempt: 0, ...fields }),
      ) as BeaconEvent
      log(event)
      queue = [...queue, event].slice(-maxWaiting)
      // Where others wait, a timer runs; after a failure it is not ours to hurry.
      if (!queue[1]) schedule(seq ? 5e3 : 1e3)
      else if (queue[maxBatch - 1] && !backoffMs) schedule(0)
      seq++
    } catch (error) {
      log(error)
    }
  }
  return [
    add,
    () => {
      while (queue[0] && Date.now() >= notBefore) void send()
    },
  ]
}
