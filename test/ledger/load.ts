import { randomUUID } from 'node:crypto'

/** What a sender knows of an event it sent. */
export interface Sent {
  readonly deployment: string
  readonly path: string
  readonly isLate: boolean
  /** acked: a 202 said so; rejected: refused for good; unknown: no answer ever came. */
  outcome: 'acked' | 'rejected' | 'unknown'
}

export type Journal = Map<string, Sent>

export interface LoadOptions {
  readonly url: string
  readonly keys: Readonly<Record<string, string>>
  readonly journal: Journal
  readonly random: () => number
  readonly requestsPerSecond: number
  readonly eventsPerRequest: number
}

export interface Load {
  /** Stops new events; resolves when what waits was answered or given up. */
  stop(): Promise<void>
  sent(): number
  errors(): Readonly<Record<string, number>>
}

interface Event {
  id: string
  name: string
  at: number
  url: string
}

const dayMs = 86_400_000
const senders = 24

/** Text of a UUIDv7. */
export function newId(at: number, random: () => number): string {
  const hex = at.toString(16).padStart(12, '0')
  const rest = Array.from({ length: 18 }, () => Math.floor(random() * 16).toString(16)).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7${rest.slice(0, 3)}-8${rest.slice(3, 6)}-${rest.slice(6)}`
}

/**
 * Sends events as browsers do, whatever happens to the server: a request without an answer is tried again with the same
 * ids, some are sent twice although they were acknowledged, some are invalid, some late, some of days gone by.
 */
export function startLoad(options: LoadOptions): Load {
  const { url, keys, journal, random, requestsPerSecond, eventsPerRequest } = options
  const deployments = Object.keys(keys)
  const errors: Record<string, number> = {}
  const count = (what: string): void => void (errors[what] = (errors[what] ?? 0) + 1)
  let isStopping = false
  let sent = 0

  const post = async (deployment: string, events: readonly Event[]): Promise<void> => {
    const body = JSON.stringify({ key: keys[deployment], sent_at: Date.now(), events })
    const response = await fetch(`${url}/v1/events`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'text/plain', origin: 'http://ledger.test', 'user-agent': `Mozilla/5.0 (X11; Linux x86_64) Firefox/${100 + Math.floor(random() * 50)}.0` },
      signal: AbortSignal.timeout(8_000),
    })
    if (response.status !== 202) {
      count(String(response.status))
      throw new Error(`status ${response.status}`)
    }
    const { receipts } = (await response.json()) as { receipts: { index: number; result: string }[] }
    const refused = new Map(receipts.map((receipt) => [receipt.index, receipt.result]))
    events.forEach((event, index) => {
      const result = refused.get(index)
      const entry = journal.get(event.id)
      if (entry && entry.outcome !== 'acked') entry.outcome = result === undefined ? 'acked' : result === 'dropped' ? 'rejected' : 'unknown'
    })
    if ([...refused.values()].includes('retry')) throw new Error('some are to be sent again')
  }

  const newEvents = (deployment: string): Event[] =>
    Array.from({ length: eventsPerRequest }, () => {
      const now = Date.now()
      const chance = random()
      const isLate = chance < 0.01
      const isInvalid = chance > 0.99
      const at = isLate ? now - 8 * dayMs : chance < 0.2 ? now - Math.floor(1 + random() * 3) * dayMs : now
      const id = isInvalid ? `bad-${randomUUID()}` : newId(now, random)
      const path = `/page-${Math.floor(random() * 40)}`
      journal.set(id, { deployment, path, isLate, outcome: 'unknown' })
      return { id, name: 'page_view', at, url: `http://ledger.test${path}?secret=1` }
    })

  const send = async (): Promise<void> => {
    const deployment = deployments[Math.floor(random() * deployments.length)]!
    const events = newEvents(deployment)
    sent += events.length
    // A sender gives up after a while; whether its events arrived is then unknown.
    for (let attempt = 0; attempt < 40; attempt++) {
      try {
        await post(deployment, events)
        if (random() < 0.05) await post(deployment, events)
        return
      } catch (error) {
        count(error instanceof Error ? error.message.slice(0, 40) : 'error')
        if (isStopping && attempt > 10) return
        await new Promise((resolve) => setTimeout(resolve, 50 + random() * 250))
      }
    }
  }

  const run = async (): Promise<void> => {
    while (!isStopping) {
      const began = Date.now()
      await send()
      const pause = (1_000 * senders) / requestsPerSecond - (Date.now() - began)
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }
  const running = Promise.all(Array.from({ length: senders }, run))
  return {
    async stop() {
      isStopping = true
      await running
    },
    sent: () => sent,
    errors: () => errors,
  }
}
