/**
 * Counts wrong tokens per address; addresses stay in memory and are forgotten with their window. A right token is never
 * asked to wait: nobody locks an operator out.
 */
export interface Throttle {
  /** Counts a wrong token. @returns seconds until the address is told again whether a token is right; 0: it is. */
  fail(address: string): number
}

const mostAddresses = 10_000

/** After `limit` failures within a window the address waits for the window's end. */
export function createThrottle(options: { now: () => number; limit?: number; windowMs?: number }): Throttle {
  const { now, limit = 10, windowMs = 60_000 } = options
  const windows = new Map<string, { ends: number; failures: number }>()
  return {
    fail(address) {
      const window = windows.get(address)
      if (window !== undefined && window.ends > now()) {
        window.failures += 1
        return window.failures > limit ? Math.ceil((window.ends - now()) / 1000) : 0
      }
      windows.delete(address)
      for (const [known, { ends }] of windows) {
        if (ends > now() && windows.size < mostAddresses) break
        windows.delete(known)
      }
      windows.set(address, { ends: now() + windowMs, failures: 1 })
      return 0
    },
  }
}
