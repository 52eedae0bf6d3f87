import { createHash, randomBytes } from 'node:crypto'

/** Addresses that sign in once, for whoever can read the start-up output. */
export interface SignInLinks {
  /** A new nonce: 256 bits, base64url. */
  issue(): string
  /** True once per nonce, within its time. */
  redeem(nonce: string): boolean
}

const digest = (text: string): string => createHash('sha256').update(text).digest('base64')

/** Links live in memory only, as hashes: a restart makes all of them void. */
export function createSignInLinks(options: { now: () => number; ttlMs?: number }): SignInLinks {
  const { now, ttlMs = 15 * 60 * 1000 } = options
  const expiries = new Map<string, number>()
  return {
    issue() {
      for (const [hash, expiry] of expiries) if (expiry <= now()) expiries.delete(hash)
      const nonce = randomBytes(32).toString('base64url')
      expiries.set(digest(nonce), now() + ttlMs)
      return nonce
    },
    redeem(nonce) {
      // The map is asked for a hash, so how long it takes says nothing about the nonce.
      const hash = digest(nonce)
      const expiry = expiries.get(hash)
      return expiries.delete(hash) && expiry !== undefined && expiry > now()
    },
  }
}
