import type { LogContext } from './context.ts'
import type { ReadLimits, ReadResult, StoredRecord } from './event-log.ts'
import { corrupt, takeRecords } from './frame.ts'
import type { Partition } from './partition.ts'
import { buildIndex, floorPosition, holdSegment, releaseSegment, walkFrames, type Segment } from './segment.ts'

const leastChunkBytes = 64 * 1024
const mostChunkBytes = 1024 * 1024

/** Where a reader stopped, so that going on needs no search. */
export interface ReadCursor {
  segment: Segment | null
  offset: number
  position: number
}

export function makeCursor(): ReadCursor {
  return { segment: null, offset: -1, position: 0 }
}

/** First offset that is kept. */
export function startOf(partition: Partition): number {
  return (partition.segments[0] as Segment).base
}

/** The last segment that begins at or before an offset; the first one for anything older. */
function segmentOf(segments: readonly Segment[], offset: number): number {
  let low = 0
  let high = segments.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((segments[middle] as Segment).base <= offset) low = middle + 1
    else high = middle
  }
  return Math.max(0, low - 1)
}

/**
 * Reads what is durable from an offset on, without waiting.
 * @throws LOG_CORRUPT naming file and byte.
 */
export async function readRecords(
  context: LogContext,
  partition: Partition,
  from: number,
  limits: Omit<ReadLimits, 'waitMs'>,
  cursor: ReadCursor,
): Promise<ReadResult> {
  const records: StoredRecord[] = []
  let takenBytes = 0
  let next = Math.max(from, startOf(partition))
  let full = false
  while (!full && next < partition.next()) {
    const { segments } = partition
    const at = segmentOf(segments, next)
    const segment = segments[at] as Segment
    const following = segments[at + 1]
    // Before the first await: `size` and `end` belong together.
    const end = { bytes: segment.size, next: following === undefined ? partition.next() : following.base }
    const fd = await holdSegment(context.files, segment)
    if (fd === null) {
      next = Math.max(next, startOf(partition))
      continue
    }
    try {
      const start = await startPosition(context, fd, segment, next, cursor, following !== undefined)
      const chunkBytes = Math.min(mostChunkBytes, Math.max(leastChunkBytes, limits.maxBytes * 2))
      let reached = start
      const walked = await walkFrames(
        context.files,
        fd,
        { start, end: end.bytes, chunkBytes },
        (frame, buffer, position) => {
          if (frame.next <= next) {
            reached = position + frame.end - frame.start
            return true
          }
          const taken = takeRecords(buffer, frame, next, records, { ...limits, takenBytes })
          takenBytes = taken.takenBytes
          next = taken.next
          full = next < frame.next
          if (!full) reached = position + frame.end - frame.start
          return !full
        },
      )
      if (walked.bad) throw corrupt(segment.path, walked.position, 'a frame that had been synced fails its checksum')
      if (!full) next = Math.max(next, end.next)
      Object.assign(cursor, { segment, offset: next, position: reached })
    } finally {
      await releaseSegment(context.files, segment)
    }
    full ||= records.length >= limits.maxRecords || takenBytes >= limits.maxBytes
  }
  return { records, next }
}

async function startPosition(
  context: LogContext,
  fd: number,
  segment: Segment,
  from: number,
  cursor: ReadCursor,
  sealed: boolean,
): Promise<number> {
  if (cursor.segment === segment && cursor.offset === from) return cursor.position
  if (from <= segment.base) return 0
  if (segment.index === null && sealed) segment.index = await buildIndex(context.files, fd, segment)
  return segment.index === null ? 0 : floorPosition(segment.index, from)
}

/**
 * Resolves when a partition has a durable record at or after its offset, when `waitMs` are over, or when `signal` aborts.
 * @param waitMs null: without end.
 */
export function waitForRecords(
  places: readonly { partition: Partition; offset: number }[],
  waitMs: number | null,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const isThere = () => signal.aborted || places.some(({ partition, offset }) => partition.next() > offset)
    if (isThere() || waitMs === 0) return resolve()
    const look = () => {
      if (isThere()) stop()
    }
    const stop = () => {
      if (timer !== null) clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      for (const { partition } of places) partition.listeners.delete(look)
      resolve()
    }
    const timer = waitMs === null ? null : setTimeout(stop, waitMs)
    signal.addEventListener('abort', stop)
    for (const { partition } of places) partition.listeners.add(look)
  })
}
