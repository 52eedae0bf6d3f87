import { PipelineError } from '@footfall/contracts/errors'
import { shiftDay } from '@footfall/enrichment/local-time'
import { waitUnless } from '@footfall/event-log/within'
import type { Registry } from '@footfall/registry/registry'
import { uuidv7 } from '@footfall/sdk/id'
import type { Store } from '@footfall/store/open'
import { readQuery } from '@footfall/store/queries'
import type { Logger } from '@footfall/telemetry/logger'
import type { Metrics } from '@footfall/telemetry/metrics'

export interface CanaryParts {
  /** Address that browsers send beacons to, without `/v1/events`. */
  readonly url: string
  readonly registry: Pick<Registry, 'apply' | 'deployment' | 'deployments' | 'state'>
  readonly store: Store
  readonly metrics: Pick<Metrics, 'canarySeconds' | 'canarySeen' | 'canaryFailures'>
  readonly logger: Logger
  /** Unix milliseconds. */
  readonly now?: () => number
  /** Resolves after a time, or at once when the signal aborts. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>
}

export const canaryId = 'footfall-canary'
/** Nobody will ever have a host of this name (RFC 6761, section 6.4). */
const origin = 'https://canary.invalid'
/** A program's would be shown as a bot. */
const agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 Footfall-Canary'
const everyMs = 60_000
const lookEveryMs = 500
const answerWithinMs = 10_000

const catalogue = {
  organisations: [{ id: 'footfall', name: 'Footfall', type: 'operator', country: 'EU' }],
  apps: [{ id: canaryId, name: 'Canary' }],
  deployments: [
    {
      id: canaryId,
      app: canaryId,
      organisation: 'footfall',
      name: 'Canary',
      time_zone: 'UTC',
      origins: [origin],
      environment: 'test',
      mode: 'exempt',
    },
  ],
}

/**
 * Sends one event a minute the whole way that a browser's goes, and looks for it in the store. It is test traffic of a
 * deployment of its own, shown live and in no number. An empty registry is left empty: until there is somebody else's
 * deployment nothing is sent.
 */
export function startCanary(parts: CanaryParts): { close(): Promise<void> } {
  const { registry, store, metrics, logger, now = Date.now, wait = waitUnless } = parts
  const closing = new AbortController()
  const { signal } = closing
  let isTried = false

  const fail = (step: 'send' | 'store', problem: unknown): void => {
    if (signal.aborted) return
    metrics.canaryFailures.inc({ step })
    logger.warn(
      { step, problem: problem instanceof Error ? problem.message : problem },
      'the canary did not get through',
    )
  }

  /** The key to send with. @throws what the log refuses; NOT_FOUND when the key was revoked. */
  const readKey = async (): Promise<string> => {
    if (registry.deployment(canaryId)?.environment !== 'test') await registry.apply(catalogue, { actor: 'system' })
    const keys = [...registry.state().keys.values()].filter(
      ({ deployment, kind, revoked_at }) => deployment === canaryId && kind === 'browser' && revoked_at === null,
    )
    const key = keys.at(-1)
    if (!key) throw new PipelineError('NOT_FOUND', `The deployment "${canaryId}" has no key.`)
    return key.id
  }

  const send = async (id: string, at: number): Promise<void> => {
    const key = await readKey()
    const answer = await fetch(`${parts.url}/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain', origin, 'user-agent': agent },
      body: JSON.stringify({
        key,
        sent_at: at,
        events: [{ id, name: 'page_view', at, url: `${origin}/` }],
      }),
      // A redirect would take the body off.
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]),
    })
    const text = await answer.text()
    if (answer.status !== 202 || !text.includes('"accepted":1'))
      throw new Error(`${answer.status} ${text.slice(0, 200)}`)
  }

  const isStored = async (id: string, at: number): Promise<boolean> => {
    const day = new Date(at).toISOString().slice(0, 10)
    const [row] = await store.query<{ found: string }>(readQuery('find-event'), {
      deployment: canaryId,
      // Ingest may have moved it to its own clock.
      from: shiftDay(day, -1),
      to: shiftDay(day, 1),
      id,
    })
    return Number(row?.found) > 0
  }

  const fly = async (): Promise<void> => {
    if (!registry.deployments().some(({ deployment }) => deployment.id !== canaryId)) return
    // One that was never seen is missed too.
    if (!isTried) metrics.canarySeen.set(0)
    isTried = true
    const id = uuidv7()
    const at = now()
    try {
      await send(id, at)
    } catch (error) {
      // What fetch throws says only that it failed; why is its cause.
      return fail('send', error instanceof TypeError && error.cause ? error.cause : error)
    }
    let problem: unknown = 'it is not in the store'
    while (!signal.aborted) {
      try {
        if (await isStored(id, at)) {
          metrics.canarySeconds.observe(Math.max(0, now() - at) / 1000)
          metrics.canarySeen.set(now() / 1000)
          return
        }
      } catch (error) {
        problem = error
      }
      if (now() - at >= everyMs) return fail('store', problem)
      await wait(lookEveryMs, signal)
    }
  }
  void (async () => {
    while (!signal.aborted) {
      const began = now()
      await fly()
      await wait(Math.max(0, everyMs - (now() - began)), signal)
    }
  })()
  return {
    async close() {
      closing.abort()
    },
  }
}
