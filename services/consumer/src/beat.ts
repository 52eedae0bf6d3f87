/**
 * A time that several wait for together: the first who asks starts it, and all who ask until it is over resolve with it, or
 * when their own signal aborts.
 * @param wait resolves after a time.
 */
export function createBeat(wait: () => Promise<void>): (signal: AbortSignal) => Promise<void> {
  let beat: Promise<void> | null = null
  return async (signal) => {
    beat ??= wait().finally(() => (beat = null))
    const over = beat
    if (signal.aborted) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done)
        resolve()
      }
      signal.addEventListener('abort', done)
      void over.then(done)
    })
  }
}
