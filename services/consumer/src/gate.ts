/** Lets some work run side by side, and all of it be held. */
export interface Gate {
  /** Runs work once there is room for its weight, in the order it was asked for; what is heavier than all room runs alone. */
  run<Result>(weight: number, work: () => Promise<Result>): Promise<Result>
  /** Resolves when nothing runs; nothing begins until the returned function is called. */
  pause(): Promise<() => void>
}

/** @param room the sum of the weights of what runs at a time: a whole number, as they are. */
export function createGate(room: number): Gate {
  const waiting: { readonly weight: number; readonly enter: () => void }[] = []
  let free = room
  const admit = (): void => {
    while (waiting[0] && waiting[0].weight <= free) {
      const { weight, enter } = waiting.shift()!
      free -= weight
      enter()
    }
  }
  const enter = (weight: number): Promise<void> =>
    new Promise((resolve) => {
      waiting.push({ weight, enter: resolve })
      admit()
    })
  const leave = (weight: number): void => {
    free += weight
    admit()
  }
  return {
    async run(weight, work) {
      const taken = Math.min(weight, room)
      await enter(taken)
      try {
        return await work()
      } finally {
        leave(taken)
      }
    },
    async pause() {
      await enter(room)
      let isHeld = true
      return () => {
        if (isHeld) leave(room)
        isHeld = false
      }
    },
  }
}
