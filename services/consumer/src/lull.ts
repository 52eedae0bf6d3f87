/** Work that others wait for, so that what follows it can go together. */
export interface Lull {
  /** Runs work that is waited for. */
  readonly during: <Result>(work: () => Promise<Result>) => Promise<Result>
  /** Resolves when no such work is under way, or after `mostMs`. */
  readonly over: (mostMs: number) => Promise<void>
}

export function createLull(): Lull {
  const waiting = new Set<() => void>()
  let underWay = 0
  return {
    async during(work) {
      underWay++
      try {
        return await work()
      } finally {
        underWay--
        if (underWay === 0) for (const done of waiting) done()
      }
    },
    over: (mostMs) =>
      new Promise((resolve) => {
        if (underWay === 0) return resolve()
        const done = (): void => {
          clearTimeout(timer)
          waiting.delete(done)
          resolve()
        }
        const timer = setTimeout(done, mostMs)
        waiting.add(done)
      }),
  }
}
