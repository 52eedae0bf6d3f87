import { mkdir, readFile, readdir, rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { crc32 } from 'node:zlib'
import { isPipelineError, PipelineError } from '@footfall/contracts/errors'
import type { LogContext } from './context.ts'
import type { ConsumerHandlers, LogConsumer, Position } from './event-log.ts'
import { errnoOf, isNoSpace, replaceFile, syncDirectory } from './files.ts'
import type { Partition } from './partition.ts'
import { makeCursor, readRecords, startOf, waitForRecords } from './reader.ts'

/** What one group has consumed of one partition; durable before it changes here. */
export interface GroupPosition {
  position: Position
  /** The save under way: saves of one file never overlap. */
  saving: Promise<void>
}

/** All groups of one partition by name. */
export type Groups = Map<string, GroupPosition>

function checksum(position: Position): number {
  return crc32(`${position.next}-${position.claimed ?? ''}`)
}

/** The content of a group's file. */
export function printPosition(position: Position): string {
  return JSON.stringify({ ...position, crc32: checksum(position) }) + '\n'
}

/** @throws LOG_CORRUPT naming the file. */
export async function loadGroups(directory: string): Promise<Groups> {
  const groups: Groups = new Map()
  for (const name of await readdir(directory)) {
    if (!name.endsWith('.json')) continue
    const path = join(directory, name)
    const position = parsePosition(await readFile(path, 'utf8'))
    if (position === null)
      throw new PipelineError('LOG_CORRUPT', `${path} at byte 0: not a position with its checksum.`)
    groups.set(basename(name, '.json'), { position, saving: Promise.resolve() })
  }
  return groups
}

function parsePosition(text: string): Position | null {
  let read: { next?: unknown; claimed?: unknown; crc32?: unknown } | null
  try {
    read = JSON.parse(text) as typeof read
  } catch {
    return null // Reported by the caller, who knows the file.
  }
  if (!Number.isSafeInteger(read?.next) || !['number', 'undefined'].includes(typeof read?.claimed)) return null
  const next = read?.next as number
  const position = read?.claimed === undefined ? { next } : { next, claimed: read.claimed as number }
  return read?.crc32 === checksum(position) ? position : null
}

/** Durably replaces a group's position. @throws LOG_FULL; fails the log when a sync fails. */
export function savePosition(
  context: LogContext,
  partition: Partition,
  groups: Groups,
  name: string,
  position: Position,
): Promise<void> {
  const group = groups.get(name)
  const save = async () => {
    const failure = context.failure()
    if (failure !== null) throw failure
    const directory = join(partition.directory, 'consumers')
    try {
      await replaceFile(context.files, join(directory, `${name}.json`), printPosition(position), rename)
      await syncDirectory(context.files, directory)
    } catch (error) {
      if (isNoSpace(error)) throw new PipelineError('LOG_FULL', undefined, { cause: error })
      throw context.fail(error, `Saving the position of ${name} in ${directory}`)
    }
    const known = groups.get(name)
    if (known === undefined) groups.set(name, { position, saving: Promise.resolve() })
    else known.position = position
  }
  const saved = (group?.saving ?? Promise.resolve()).then(save)
  // The caller hears of a failure; the next save only has to wait for this one.
  if (group !== undefined) group.saving = saved.catch(() => undefined)
  return saved
}

/** Makes the directory that holds the positions. */
export async function makeConsumersDirectory(partitionDirectory: string): Promise<void> {
  await mkdir(join(partitionDirectory, 'consumers'), { recursive: true })
}

export interface FencedConsumer extends LogConsumer {
  /** Takes the partitions away: its calls throw FENCED and its open reads resolve empty. */
  fence(): Promise<void>
}

/** One consumer of all partitions of a topic, until it is closed or fenced. */
export function makeConsumer(
  context: LogContext,
  group: string,
  members: readonly { partition: Partition; groups: Groups }[],
  handlers: ConsumerHandlers,
  onAdvance: () => void,
): FencedConsumer {
  const gone = new AbortController()
  const cursors = members.map(makeCursor)

  const member = (number: number) => {
    const found = members[number]
    if (found === undefined) throw new RangeError(`There is no partition ${number}.`)
    return found
  }
  const owned = (number: number) => {
    if (gone.signal.aborted) throw new PipelineError('FENCED', `Group ${group}, partition ${number}.`)
    const { partition, groups } = member(number)
    return { partition, groups, position: (groups.get(group) as GroupPosition).position }
  }
  const idle = async () => {
    for (const { groups } of members) await groups.get(group)?.saving
  }

  return {
    position: async (number) => owned(number).position,

    claim: async (number, end) => {
      const { partition, groups, position } = owned(number)
      if (!(end > position.next && end <= partition.next())) {
        throw new RangeError(`Cannot claim [${position.next}, ${end}) of a log that ends at ${partition.next()}.`)
      }
      await savePosition(context, partition, groups, group, { next: position.next, claimed: end })
    },

    advance: async (number, next) => {
      const { partition, groups, position } = owned(number)
      if (!(next >= position.next && next <= partition.next())) {
        throw new RangeError(
          `Cannot advance from ${position.next} to ${next} in a log that ends at ${partition.next()}.`,
        )
      }
      await savePosition(context, partition, groups, group, { next })
      onAdvance()
    },

    read: async (number, from, limits) => {
      const { partition } = member(number)
      const empty = { records: [], next: Math.max(from, startOf(partition)) }
      await waitForRecords([{ partition, offset: from }], limits.waitMs, gone.signal)
      if (gone.signal.aborted) {
        await new Promise((resolve) => setImmediate(resolve))
        return empty
      }
      try {
        const read = await readRecords(context, partition, from, limits, cursors[number] ?? makeCursor())
        return gone.signal.aborted ? empty : read
      } catch (error) {
        // Such as too many open files: the bytes are still there.
        if (isPipelineError(error) || errnoOf(error) === '') throw error
        throw new PipelineError('LOG_UNAVAILABLE', `Reading ${partition.directory}`, { cause: error })
      }
    },

    fence: async () => {
      if (gone.signal.aborted) return
      gone.abort()
      await idle()
      // All at once: those that wait for nothing would ask again and again while one of them ends what it does.
      await Promise.all(members.map(async ({ partition }) => handlers.onRevoked(partition.number)))
    },

    close: async () => {
      gone.abort()
      await idle()
    },
  }
}
