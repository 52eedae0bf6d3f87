/** Counts failed sign-ins per address; addresses stay in memory and are forgotten with their window. */
export interface Throttle {
  /** Seconds to wait; 0: go on. */
  waitSeconds(address: string): number
  fail(address: string): void
}

const mostAddresses = 10_000

/** After `limit` failures within a window the address waits for the window's end. */
export function createThrottle(options: { now: () => number; limit?: number; windowMs?: number }): Throttle {
  const { now, limit = 10, windowMs = 60_000 } = options
  const windows = new Map<string, { ends: number; failures: number }>()
  return {
    waitSeconds(address) {
      const window = windows.get(address)
      if (window === undefined || window.ends <= now() || window.failures < limit) return 0
      return Math.ceil((window.ends - now()) / 1000)
    },
    fail(address) {
      const window = windows.get(address)
      if (window !== undefined && window.ends > now()) {
        window.failures += 1
        return
      }
      windows.delete(address)
      for (const [known, { ends }] of windows) {
        if (ends > now() && windows.size < mostAddresses) break
        windows.delete(known)
      }
      windows.set(address, { ends: now() + windowMs, failures: 1 })
    },
  }
}
