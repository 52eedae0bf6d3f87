import { senderOf } from '@footfall/http/ip-address'

/** How long a quiet sender may save up: this many seconds of its rate may come at once. */
const burstSeconds = 10
const bucketLimit = 100_000
/** Custom event names of a deployment a day; more are a mistake, such as ids in names, and harm every table. */
const namesPerDay = 200

interface Bucket {
  tokens: number
  /** Unix milliseconds of the last refill. */
  at: number
}

export interface RateLimiter {
  /**
   * Takes up to `wanted` tokens from the buckets of a key and an address.
   * @param address null: no limit by address (server keys speak for many people).
   */
  take(key: string, address: string | null, wanted: number): { events: number; retryAfterSeconds: number }
  /** Seconds until a sender of refused requests is read again; 0: at once. Nobody else's tokens are touched. */
  waitAfterRefusals(address: string): number
  noteRefusal(address: string): void
  /** False when the deployment has used up its custom event names of the day. */
  takeName(deployment: string, name: string): boolean
}

/** Token buckets in memory, per process; of 100,000 the one that was used longest ago makes room for the next. */
export function createRateLimiter(options: { perKey: number; perAddress: number; now: () => number }): RateLimiter {
  const keys = new Map<string, Bucket>()
  const addresses = new Map<string, Bucket>()
  const refused = new Map<string, Bucket>()
  const names = new Map<string, Set<string>>()
  let namesDay = 0

  const refill = (buckets: Map<string, Bucket>, id: string, rate: number, now: number): Bucket => {
    const known = buckets.get(id)
    const bucket = known ?? { tokens: rate * burstSeconds, at: now }
    // A map keeps the order of insertion: in again at its end is the most recent.
    if (known) buckets.delete(id)
    else if (buckets.size >= bucketLimit) buckets.delete(buckets.keys().next().value!)
    buckets.set(id, bucket)
    // A clock that jumps back gives nothing and takes nothing.
    const seconds = Math.max(0, now - bucket.at) / 1000
    bucket.tokens = Math.min(rate * burstSeconds, bucket.tokens + seconds * rate)
    bucket.at = now
    return bucket
  }

  return {
    take(key, address, wanted) {
      const now = options.now()
      const ofKey = refill(keys, key, options.perKey, now)
      const ofAddress = address === null ? null : refill(addresses, senderOf(address), options.perAddress, now)
      const events = Math.floor(Math.min(wanted, ofKey.tokens, ofAddress?.tokens ?? Infinity))
      ofKey.tokens -= events
      if (ofAddress) ofAddress.tokens -= events
      const slow = ofKey.tokens < wanted - events ? options.perKey : options.perAddress
      return { events, retryAfterSeconds: Math.min(60, Math.max(1, Math.ceil((wanted - events) / slow))) }
    },
    waitAfterRefusals(address) {
      // Whoever was never refused has no bucket, and none is made.
      if (refused.size === 0 || !refused.has(senderOf(address))) return 0
      const { tokens } = refill(refused, senderOf(address), options.perAddress, options.now())
      return tokens >= 1 ? 0 : Math.ceil((1 - tokens) / options.perAddress)
    },
    noteRefusal(address) {
      refill(refused, senderOf(address), options.perAddress, options.now()).tokens -= 1
    },
    takeName(deployment, name) {
      const day = Math.floor(options.now() / 86_400_000)
      if (day !== namesDay) {
        names.clear()
        namesDay = day
      }
      let used = names.get(deployment)
      if (!used) names.set(deployment, (used = new Set()))
      if (used.has(name)) return true
      if (used.size >= namesPerDay) return false
      used.add(name)
      return true
    },
  }
}
