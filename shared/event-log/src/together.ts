interface Waiting<Item, Answer> {
  readonly item: Item
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/**
 * Makes one piece of work of what is asked for at about the same time: one is under way, all that comes meanwhile, or in
 * the same turn of the event loop, goes along with the next. When the work fails, all that went along fail alike.
 * @param work its answers are in the order of its items.
 * @param limits.most the weights that go together at most, unless one alone is heavier.
 */
export function together<Item, Answer>(
  work: (items: readonly Item[]) => Promise<readonly Answer[]>,
  limits: { readonly most: number; readonly weigh: (item: Item) => number } = { most: Infinity, weigh: () => 1 },
): (item: Item) => Promise<Answer> {
  const waiting: Waiting<Item, Answer>[] = []
  let isUnderWay = false

  const take = (): Waiting<Item, Answer>[] => {
    let count = 0
    let weight = 0
    for (const { item } of waiting) {
      weight += limits.weigh(item)
      if (count > 0 && weight > limits.most) break
      count++
    }
    return waiting.splice(0, count)
  }
  const run = async (): Promise<void> => {
    while (waiting.length > 0) {
      const group = take()
      try {
        const answers = await work(group.map(({ item }) => item))
        group.forEach(({ resolve }, nth) => resolve(answers[nth]!))
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    isUnderWay = false
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (isUnderWay) return
      isUnderWay = true
      setImmediate(() => void run())
    })
}
