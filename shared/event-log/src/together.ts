interface Waiting<Item, Answer> {
  readonly item: Item
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

const endOfTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/**
 * Makes one piece of work of what is asked for at about the same time: all that comes in the same turn of the event loop, or
 * while as many pieces are under way as may be, goes together. When the work fails, all that went along fail alike.
 * @param work its answers are in the order of its items.
 * @param limits.most the weights that go together at most, unless one alone is heavier.
 * @param limits.gather resolves when those whom a piece of work waits for are there; by default at the end of the turn.
 * @param limits.atOnce pieces under way at a time: one that hangs holds up what is in it, and no more while there are others.
 */
export function together<Item, Answer>(
  work: (items: readonly Item[]) => Promise<readonly Answer[]>,
  limits: {
    readonly most?: number
    readonly weigh?: (item: Item) => number
    readonly atOnce?: number
    readonly gather?: () => Promise<void>
  } = {},
): (item: Item) => Promise<Answer> {
  const { most = Infinity, weigh = () => 1, atOnce = 1, gather = endOfTurn } = limits
  const waiting: Waiting<Item, Answer>[] = []
  let underWay = 0
  let isDue = false

  const take = (): Waiting<Item, Answer>[] => {
    let count = 0
    let weight = 0
    for (const { item } of waiting) {
      weight += weigh(item)
      if (count > 0 && weight > most) break
      count++
    }
    return waiting.splice(0, count)
  }
  const run = async (group: readonly Waiting<Item, Answer>[]): Promise<void> => {
    underWay++
    try {
      const answers = await work(group.map(({ item }) => item))
      group.forEach(({ resolve }, nth) => resolve(answers[nth]!))
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
    underWay--
    start()
  }
  const start = (): void => {
    if (isDue || waiting.length === 0 || underWay >= atOnce) return
    isDue = true
    void gather().then(() => {
      isDue = false
      void run(take())
      start()
    })
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      start()
    })
}
