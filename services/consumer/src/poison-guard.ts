import { PipelineError } from '@footfall/contracts/errors'

const windowMs = 5 * 60 * 1000
const leastPoison = 100
const mostShare = 0.2

/**
 * Stops the consumer when more than a fifth and at least 100 of the records of five minutes are poison: then the fault
 * is ours, and draining the log into `failed_events` would only hide it.
 */
export function createPoisonGuard(now: () => number): { check(counts: { read: number; poison: number }): void } {
  let batches: { at: number; read: number; poison: number }[] = []
  return {
    check({ read, poison }) {
      const since = now() - windowMs
      batches = [...batches.filter(({ at }) => at >= since), { at: now(), read, poison }]
      const all = batches.reduce((sum, batch) => ({ read: sum.read + batch.read, poison: sum.poison + batch.poison }), {
        read: 0,
        poison: 0,
      })
      if (all.poison >= leastPoison && all.poison > all.read * mostShare) {
        throw new PipelineError('POISONED', `${all.poison} of ${all.read} records in 5 minutes.`)
      }
    },
  }
}
