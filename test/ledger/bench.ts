import type { Client } from './client.ts'
import type { FootfallProcess } from './footfall-process.ts'

/** What was done and met, counted by its name. */
export type Facts = Record<string, number>

/** What a phase works with. */
export interface Bench {
  readonly footfall: FootfallProcess
  /** Decides when and how each fault comes; the senders have numbers of their own, so the plan is the seed's alone. */
  readonly random: () => number
  readonly journalFile: string
  /** Scratch space beside the data directory. */
  readonly root: string
  readonly say: (line: string) => void
  load(requestsPerSecond?: number): Client
  /** Stops a client and says what it was answered. @throws when a request hung, or an answer is not documented */
  finish(client: Client): Promise<Facts>
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits for a condition. @throws after `limitMs`, with the last error met */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 60_000,
  everyMs = 50,
): Promise<void> {
  let last: unknown = null
  for (const end = Date.now() + limitMs; Date.now() < end; await pause(everyMs)) {
    try {
      if (await condition()) return
    } catch (error) {
      last = error
    }
  }
  throw new Error(`waited ${limitMs / 1_000} s in vain for ${what}${last instanceof Error ? `: ${last.message}` : ''}`)
}

/** Waits until a log is consumed to its end. */
export const drained = (footfall: FootfallProcess): Promise<void> =>
  until(
    'the log to be consumed',
    async () => (await footfall.request<{ in_log: number }>('/api/v1/ledger')).in_log === 0,
  )

/** Sums of facts by name. */
export function addFacts(...all: readonly Facts[]): Facts {
  const sum: Facts = {}
  for (const facts of all) for (const [name, value] of Object.entries(facts)) sum[name] = (sum[name] ?? 0) + value
  return sum
}

/** What a sender may be told; everything else is a fault. 403 is for the strangers among the senders. */
const documented = new Set(['202', '403', '429', '503', 'none'])

/** Stops a client and says what it was answered. @throws when a request hung, or an answer is not documented */
export async function finishClient(client: Client): Promise<Facts> {
  await client.stop()
  const { events, hung, held, answers } = client.counts
  const odd = Object.keys(answers).filter((status) => !documented.has(status))
  if (odd.length > 0)
    throw new Error(
      `answers that are not documented: ${odd.map((status) => `${answers[status]} × ${status}`).join(', ')}`,
    )
  if (hung > 0) throw new Error(`${hung} requests got no answer in time`)
  return { events, ...answers, ...(held > 0 ? { 'not made': held } : {}) }
}
