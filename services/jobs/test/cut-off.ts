import { PipelineError } from '@footfall/contracts/errors'
import type { Store } from '@footfall/store/open'

/** A store that is gone from its n-th write on, which was done (`done`) or not; `writes` says how many there were. */
export function cutOff(store: Store, nth: number, done: boolean): Store & { writes(): number } {
  let writes = 0
  const write = async (work: () => Promise<void>): Promise<void> => {
    writes++
    if (writes < nth || (writes === nth && done)) await work()
    if (writes >= nth) throw new PipelineError('STORE_UNAVAILABLE', 'The engine was killed.')
  }
  return {
    ...store,
    writes: () => writes,
    command: (...of) => write(() => store.command(...of)),
    insert: (...of) => write(() => store.insert(...of)),
  }
}

/** The store as it is, with every n from 1 and both ways until a run ends before its n-th write. */
export async function eachCut(store: Store, round: (cut: Store, name: string) => Promise<void>): Promise<number> {
  for (let nth = 1; ; nth++) {
    for (const done of [false, true]) {
      const cut = cutOff(store, nth, done)
      await round(cut, `write ${nth}, ${done ? 'done' : 'not done'}`)
      if (cut.writes() < nth) return nth - 1
    }
  }
}
