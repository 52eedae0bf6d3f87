import { isPipelineError } from '@footfall/contracts/errors'
import { waitUnless } from '@footfall/event-log/within'
import { queryLedger } from '@footfall/store/metrics'
import type { Store } from '@footfall/store/open'
import type { Logger } from '@footfall/telemetry/logger'
import type { Metrics } from '@footfall/telemetry/metrics'

export interface LedgerWatch {
  readonly store: Store
  readonly metrics: Pick<Metrics, 'ledgerDifference'>
  readonly logger: Logger
  /** Resolves after a time, or at once when the signal aborts. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>
}

const everyMs = 60_000
const lookAgainMs = 1_000
const mostLooks = 4

/**
 * Sets `footfall_ledger_difference` every minute; without an answer of the store there is no such number. A batch has its
 * rows a moment before its entry in the ledger: what is not 0 is looked at again, so that a busy hour is no alarm.
 */
export function watchLedger(options: LedgerWatch): { close(): Promise<void> } {
  const { store, metrics, logger, wait = waitUnless } = options
  const closing = new AbortController()
  const { signal } = closing

  const look = async (): Promise<void> => {
    let difference = 0
    for (let looks = 1; looks <= mostLooks && !signal.aborted; looks++) {
      difference = (await queryLedger(store)).difference
      if (difference === 0) break
      if (looks < mostLooks) await wait(lookAgainMs, signal)
    }
    if (!signal.aborted) metrics.ledgerDifference.set(difference)
  }
  void (async () => {
    while (!signal.aborted) {
      await look().catch((error: unknown) => {
        metrics.ledgerDifference.remove()
        if (!isPipelineError(error)) logger.error({ err: error }, 'the ledger could not be added up')
      })
      await wait(everyMs, signal)
    }
  })()
  return {
    async close() {
      closing.abort()
    },
  }
}
