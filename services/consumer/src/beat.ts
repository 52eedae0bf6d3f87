import { waitUnless } from '@footfall/event-log/within'

/**
 * A time that several wait for together: the first who asks starts it, and all who ask until it is over resolve with it, or
 * when their own signal aborts.
 * @param wait resolves after a time, or at once when the signal aborts.
 */
export function createBeat(
  intervalMs: number,
  signal: AbortSignal,
  wait: (ms: number, signal: AbortSignal) => Promise<void> = waitUnless,
): (signal: AbortSignal) => Promise<void> {
  let beat: Promise<void> | null = null
  return async (own) => {
    beat ??= wait(intervalMs, signal).finally(() => (beat = null))
    const over = beat
    if (own.aborted) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        own.removeEventListener('abort', done)
        resolve()
      }
      own.addEventListener('abort', done)
      void over.then(done)
    })
  }
}
