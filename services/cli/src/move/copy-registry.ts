import { PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import type { EventLog } from '@footfall/event-log'

/** The records of a log's registry. One that a producer wrote again, unheard, counts once. */
async function readRecords(log: EventLog): Promise<string[]> {
  const until = new Map((await log.partitions(topics.registry)).map(({ partition, end }) => [partition, end]))
  const records: string[] = []
  for await (const { value } of log.tail(topics.registry, { from: 'start', until })) {
    const record = value.toString('utf8')
    if (record !== records.at(-1)) records.push(record)
  }
  return records
}

/** What of a log's registry another log does not have yet. */
export interface RegistryRest {
  /** How many changes the registry has. */
  readonly total: number
  readonly missing: readonly string[]
}

/** @throws CONFLICT when the other log has a registry of its own. */
export async function compareRegistries(source: EventLog, target: EventLog): Promise<RegistryRest> {
  const [records, present] = [await readRecords(source), await readRecords(target)]
  if (present.some((record, nth) => nth < records.length && record !== records[nth]))
    throw new PipelineError(
      'CONFLICT',
      'The installation has a registry of its own: a data directory is moved into an empty one.',
    )
  return { total: records.length, missing: records.slice(present.length) }
}

/** Copies a registry's history record by record: whoever reads it there comes to the same state. */
export async function copyRegistry({ missing }: RegistryRest, target: EventLog): Promise<void> {
  for (const value of missing) await target.append(topics.registry, [{ key: 'registry', value }])
}
