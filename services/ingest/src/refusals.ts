import type { DropReason } from '@footfall/contracts/drop-reason'
import type { RefusalRecord } from '@footfall/contracts/event'

/** At most this many samples a second and deployment reach the topic; the counts are always whole. */
const samplesPerSecond = 10
/** Whatever a step says: a sample stays small. */
const maxWhere = 100

export interface Refusals {
  /** @param where the field at fault, never its content. */
  count(deployment: string, reason: DropReason, events: number, where: string): void
  /** Hands over what was counted since the last call. */
  drain(): RefusalRecord[]
  /** Takes back what could not be written: the counts, not the places. */
  restore(records: readonly RefusalRecord[]): void
}

/** Counts refusals per deployment and reason between two drains. */
export function createRefusals(options: {
  now: () => number
  onCount?: (reason: DropReason, events: number) => void
}): Refusals {
  let counted = new Map<string, Map<string, RefusalRecord>>()
  const add = (record: RefusalRecord): void => {
    let ofDeployment = counted.get(record.deployment)
    if (!ofDeployment) counted.set(record.deployment, (ofDeployment = new Map<string, RefusalRecord>()))
    const where = ofDeployment.size >= samplesPerSecond ? '' : record.where.slice(0, maxWhere)
    const id = `${record.reason} ${where}`
    const known = ofDeployment.get(id)
    if (known) known.count += record.count
    else ofDeployment.set(id, { ...record, where })
  }
  return {
    count(deployment, reason, events, where) {
      options.onCount?.(reason, events)
      add({ v: 1, deployment, reason, at: options.now(), count: events, where })
    },
    restore(records) {
      for (const record of records) add({ ...record, where: '' })
    },
    drain() {
      const drained = [...counted.values()].flatMap((ofDeployment) => [...ofDeployment.values()])
      counted = new Map()
      return drained
    },
  }
}
