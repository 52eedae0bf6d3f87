import type { BeaconAnswer, BeaconEvent } from '@footfall/contracts/beacon'
import { randomHex, uuidv7 } from './id.ts'

/** An event before it has an id and a number. */
export type EventFields = Partial<Omit<BeaconEvent, 'id' | 'at' | 'seq' | 'attempt' | 'name'>>

export interface Sender {
  /** Queues an event; it leaves with the next flush. */
  _add(name: string, fields?: EventFields): void
  /** Sends what waits; `last` when the page may be going away. */
  _flush(last?: unknown): void
}

/** Browsers refuse more than 64 KiB in flight with keepalive (Fetch standard); a larger batch goes without. */
const maxKeepaliveBytes = 60_000
const maxWaiting = 200
const maxBatch = 10

/**
 * Batches, sends and retries within the page's life; nothing is stored. An event stays here, with its id, until the
 * server has answered for it: what arrives twice is counted once.
 */
export function createSender(key: string, endpoint: string, allowed: () => unknown, debug: boolean): Sender {
  let queue: BeaconEvent[] = []
  let isSending = 0
  let seq = 0
  let failures = 0
  let blockedUntil = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  const page_id = randomHex(8)
  const log = (...words: unknown[]): void => {
    if (debug) console.log('footfall', ...words)
  }
  const schedule = (ms: number): void => {
    clearTimeout(timer)
    timer = setTimeout(flush, Math.max(ms, blockedUntil - Date.now()))
  }

  // A timer hands nothing over, an event listener its event: then the page may be going away and nothing is waited for.
  async function flush(last?: unknown): Promise<void> {
    const sent_at = Date.now()
    if (!queue[0] || !allowed() || (!last && (isSending || sent_at < blockedUntil))) return
    const events = queue.splice(0, maxBatch)
    for (const event of events) event.attempt!++
    const body = JSON.stringify({ key, sent_at, page_id, time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone, events })
    isSending++
    let retry = events
    let wait = 0
    try {
      const sent = fetch(endpoint, { method: 'POST', body, keepalive: body.length < maxKeepaliveBytes, credentials: 'omit' })
      if (last) void flush(last)
      const response = await sent
      const { status } = response
      const { receipts = [] } = (await response.json()) as Partial<BeaconAnswer>
      log(status, receipts)
      if (status < 500 && status !== 429 && status !== 408) {
        retry = receipts.filter(({ result }) => result === 'retry').map(({ index }) => events[index]!)
        failures = 0
      }
      wait = 1e3 * (response.headers.get('retry-after') as unknown as number)
    } catch (error) {
      log(error)
    }
    isSending--
    if (retry[0]) {
      queue = [...retry, ...queue].slice(-maxWaiting)
      blockedUntil = Date.now() + (wait || Math.random() * 1e3 * 2 ** Math.min(8, failures++))
    }
    if (queue[0]) schedule(0)
  }

  return {
    _add(name, fields) {
      if (!allowed()) return
      const at = Date.now()
      const event = { id: uuidv7(at), name, at, seq: seq++, attempt: 0, ...fields }
      log(event)
      queue = [...queue, event].slice(-maxWaiting)
      if (queue[maxBatch - 1]) void flush()
      else schedule(1e3)
    },
    _flush: (last) => void flush(last),
  }
}
