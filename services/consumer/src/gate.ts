/** Lets some work run side by side, and all of it be held. */
export interface Gate {
  /** Runs work once there is a place, in the order it was asked for. */
  run<Result>(work: () => Promise<Result>): Promise<Result>
  /** Resolves when nothing runs; nothing begins until the returned function is called. */
  pause(): Promise<() => void>
}

export function createGate(most: number): Gate {
  const waiting: (() => void)[] = []
  let free = most
  let pausing: Promise<unknown> = Promise.resolve()
  const enter = async (): Promise<void> => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
  }
  const leave = (): void => {
    const next = waiting.shift()
    if (next) next()
    else free++
  }
  return {
    async run(work) {
      await enter()
      try {
        return await work()
      } finally {
        leave()
      }
    },
    pause() {
      // One after the other: two that each hold some places would wait for the rest for ever.
      const held = pausing.then(async () => {
        for (let place = 0; place < most; place++) await enter()
        let release: () => void = () => undefined
        const released = new Promise<void>((resolve) => (release = resolve))
        const resume = (): void => {
          release()
        }
        void released.then(() => {
          for (let place = 0; place < most; place++) leave()
        })
        return { resume, released }
      })
      pausing = held.then(({ released }) => released)
      return held.then(({ resume }) => resume)
    },
  }
}
