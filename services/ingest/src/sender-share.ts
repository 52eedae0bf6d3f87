const remembered = 5_000

/** How much of the latest traffic comes from one address: a proxy that is not trusted looks like that. In memory only. */
export interface SenderShare {
  note(address: string): void
  /** Share of the most frequent address among the last `of` requests. */
  read(): { share: number; of: number }
}

/** Counts the addresses of the last 5,000 requests; they are never written or told. */
export function createSenderShare(): SenderShare {
  const ring: string[] = []
  const counts = new Map<string, number>()
  let next = 0
  return {
    note(address) {
      const old = ring[next]
      if (old !== undefined) {
        const left = counts.get(old)! - 1
        if (left === 0) counts.delete(old)
        else counts.set(old, left)
      }
      ring[next] = address
      next = (next + 1) % remembered
      counts.set(address, (counts.get(address) ?? 0) + 1)
    },
    read: () => ({ share: ring.length === 0 ? 0 : Math.max(...counts.values()) / ring.length, of: ring.length }),
  }
}
