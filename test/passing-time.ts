/** Time for what repeats: it passes when told. */
export interface PassingTime {
  /** Resolves when told, or at once when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
  /** Resolves once somebody waits for so many milliseconds: what came before has been done. */
  readonly reached: (ms: number) => Promise<void>
  /** Ends such a wait, once there is one. */
  readonly pass: (ms: number) => Promise<void>
}

export function createPassingTime(): PassingTime {
  const waiting = new Set<{ ms: number; end: () => void }>()
  let tell: () => void = () => undefined
  const find = async (ms: number): Promise<() => void> => {
    for (;;) {
      const one = [...waiting].find((each) => each.ms === ms)
      if (one) return one.end
      await new Promise<void>((resolve) => (tell = resolve))
    }
  }
  return {
    wait: (ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve()
        const end = (): void => {
          waiting.delete(one)
          signal.removeEventListener('abort', end)
          resolve()
        }
        const one = { ms, end }
        signal.addEventListener('abort', end)
        waiting.add(one)
        tell()
      }),
    reached: async (ms) => void (await find(ms)),
    pass: async (ms) => (await find(ms))(),
  }
}
