import type { BeaconAnswer, BeaconEvent } from '@footfall/contracts/beacon'
import { uuidv7 } from './id.ts'

/** An event before it has an id and a number. */
export type EventFields = Partial<Omit<BeaconEvent, 'id' | 'at' | 'seq' | 'attempt' | 'name'>>

export type Sender = [
  /** Queues an event; it leaves with the next flush. Never throws. */
  add: (name: string, fields?: EventFields) => void,
  /** Sends what waits; `last` when the page may be going away: then nothing is waited for. */
  flush: (last?: unknown) => void,
]

/**
 * Batches, sends and retries within the page's life; nothing is stored. An event stays here, with its id, until the
 * server has answered for it: what arrives twice is counted once. While events wait, a timer runs or a request is in
 * flight, whose end starts one.
 * @param allowed whether anything may be sent now; when not, what waits is forgotten.
 */
export function createSender(key: string, endpoint: string, allowed: () => unknown, debug: unknown): Sender {
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
  let backoffMs = minBackoffMs
  let timer: ReturnType<typeof setTimeout> | undefined
  const page_id = uuidv7()
  const log = (what: unknown): void => {
    // An attribute without a value is ''.
    if (debug || debug === '') console.log('footfall', what)
  }
  const schedule = (ms: number): void => {
    clearTimeout(timer)
    timer = setTimeout(() => void flush(), ms)
  }

  async function flush(last?: unknown): Promise<void> {
    if (!allowed()) queue = []
    if (!queue[0] || (bytesInFlight && !last)) return
    let retry: BeaconEvent[] = []
    let bytes = 0
    let wait = 0
    for (const event of queue) {
      bytes += new Blob([JSON.stringify(event)]).size
      // The server takes 100 events a request.
      if (retry[99] || (retry[0] && bytes > maxBodyBytes)) break
      event.attempt!++
      retry.push(event)
    }
    const events = retry
    queue = queue.slice(events.length)
    bytesInFlight += bytes
    try {
      const keepalive = bytesInFlight < maxKeepaliveBytes
      if (last) void flush(last)
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
        keepalive,
        credentials: 'omit',
      })
      wait = 1e3 * (response.headers.get('retry-after') as unknown as number)
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
    if (retry[0]) {
      queue = [...retry, ...queue].slice(-maxWaiting)
      schedule(wait || Math.random() * backoffMs)
      backoffMs = Math.min(2 * backoffMs, maxBackoffMs)
    } else {
      backoffMs = minBackoffMs
      if (queue[0]) schedule(0)
    }
  }

  const add = (name: string, fields?: EventFields): void => {
    try {
      if (!allowed()) return
      // A copy: what cannot be written as JSON fails here and alone, and the page may go on using its objects.
      const event = JSON.parse(
        JSON.stringify({ id: uuidv7(), name, at: Date.now(), seq, attempt: 0, ...fields }),
      ) as BeaconEvent
      log(event)
      queue = [...queue, event].slice(-maxWaiting)
      // Where others wait, a timer runs; after a failure it is not ours to hurry.
      if (!queue[1]) schedule(seq ? 5e3 : 1e3)
      else if (queue[maxBatch - 1] && backoffMs < 2e3) schedule(0)
      seq++
    } catch (error) {
      log(error)
    }
  }
  return [add, flush]
}
