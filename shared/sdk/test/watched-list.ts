/** A list that tests wait on instead of looking at it again and again. */
export interface WatchedList<Item> {
  readonly items: readonly Item[]
  push(item: Item): void
  /** Resolves with the items as soon as they satisfy the condition; the test's own limit ends a wait in vain. */
  until(condition: (items: readonly Item[]) => boolean): Promise<readonly Item[]>
}

export function watchedList<Item>(): WatchedList<Item> {
  const items: Item[] = []
  let waiting: (() => void)[] = []
  return {
    items,
    push(item) {
      items.push(item)
      const woken = waiting
      waiting = []
      for (const wake of woken) wake()
    },
    async until(condition) {
      while (!condition(items)) await new Promise<void>((resolve) => waiting.push(resolve))
      return items
    },
  }
}
