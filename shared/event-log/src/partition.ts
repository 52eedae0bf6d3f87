import { unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PipelineError } from '@footfall/contracts/errors'
import type { LogContext } from './context.ts'
import type { LogRecord } from './event-log.ts'
import { isNoSpace, syncDirectory } from './files.ts'
import { encodeMark, headerBytes, maxFrameBytes, sealFrame } from './frame.ts'
import { makeSegment, noteFrame, releaseSegment, segmentName, type Segment } from './segment.ts'

const groupBytes = 8 * 1024 * 1024
const firstBufferBytes = 64 * 1024
const keptBufferBytes = 1024 * 1024

/** One append call on its way; `left` counts the frames that are not settled yet. */
export interface Ticket {
  left: number
  error: PipelineError | null
  readonly positions: { partition: number; offset: number }[]
  settle(): void
}

interface PendingFrame {
  readonly start: number
  readonly ticket: Ticket
  /** Which records of the call are in it: `indexes[first…]`, or `first…` itself when they all went to one partition. */
  readonly indexes: readonly number[] | null
  readonly first: number
  count: number
  end: number
}

/** Frames that one write and one sync make durable together. */
interface Group {
  buffer: Buffer
  length: number
  readonly frames: PendingFrame[]
}

export interface Partition {
  readonly directory: string
  readonly number: number
  /** Oldest first, never empty; the last one is written to. Replaced, not changed, so that readers keep theirs. */
  segments: readonly Segment[]
  /** One past the last durable record. */
  next(): number
  waitingBytes(): number
  /** Encodes records into the next group. The ticket is settled once they are durable or refused. */
  enqueue(records: readonly LogRecord[], indexes: readonly number[] | null, ticket: Ticket): void
  /** Seals the active segment and begins one at `base` (default: where it ends). */
  roll(base?: number): Promise<void>
  /** Called whenever records became durable, once for each registration. */
  readonly listeners: Set<() => void>
  /** Writes what waits, marks the end as synced and closes the file. */
  close(): Promise<void>
}

/**
 * Opens the writer of a partition whose segments recovery has read.
 * Group commit without a linger: while one write and sync are under way the next group gathers, and it starts when they end.
 */
export function openPartition(
  context: LogContext,
  directory: string,
  number: number,
  recovered: { segments: readonly Segment[]; active: Segment; next: number },
): Partition {
  const { files } = context
  let active = recovered.active
  let next = recovered.next
  let marked = true
  let running: Promise<void> | null = null
  let spare: Buffer | null = null
  const groups: Group[] = []
  const tasks: (() => Promise<void>)[] = []

  const partition: Partition = {
    directory,
    number,
    segments: recovered.segments,
    listeners: new Set(),
    next: () => next,
    waitingBytes: () => groups.reduce((sum, group) => sum + group.length, 0),
    enqueue,
    roll: (base) => inTurn(() => roll(base ?? next)),
    close: async () => {
      await inTurn(mark)
      await running
      await releaseSegment(files, active)
    },
  }
  return partition

  function enqueue(records: readonly LogRecord[], indexes: readonly number[] | null, ticket: Ticket): void {
    let group = groups.at(-1)
    if (group === undefined || group.length >= groupBytes) {
      group = { buffer: spare ?? Buffer.allocUnsafeSlow(firstBufferBytes), length: 0, frames: [] }
      spare = null
      groups.push(group)
    }
    const count = indexes === null ? records.length : indexes.length
    let frame: PendingFrame | null = null
    for (let at = 0; at < count; at += 1) {
      const value = (records[indexes === null ? at : (indexes[at] ?? 0)] as LogRecord).value
      // UTF-8 needs at most three bytes for each UTF-16 unit: no second pass to measure.
      const most = 4 + value.length * 3
      if (frame === null || group.length + most - frame.start > maxFrameBytes) {
        if (frame !== null) frame.end = group.length
        frame = { start: group.length, ticket, indexes, first: at, count: 0, end: 0 }
        group.frames.push(frame)
        ticket.left += 1
        group.length += headerBytes
      }
      if (group.length + most > group.buffer.length) grow(group, group.length + most)
      const bytes = group.buffer.write(value, group.length + 4)
      group.buffer.writeUInt32LE(bytes, group.length)
      group.length += 4 + bytes
      frame.count += 1
    }
    if (frame !== null) frame.end = group.length
    running ??= run()
  }

  function grow(group: Group, bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(bytes, group.buffer.length * 2))
    group.buffer.copy(larger, 0, 0, group.length)
    group.buffer = larger
  }

  async function run(): Promise<void> {
    // Everything that this turn of the event loop appends goes together.
    await new Promise((resolve) => setImmediate(resolve))
    for (;;) {
      const task = tasks.shift()
      const group = task === undefined ? groups.shift() : undefined
      if (task !== undefined) await task()
      else if (group !== undefined) await commit(group)
      else break
    }
    running = null
  }

  /** Runs a task between two groups. */
  function inTurn(task: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      tasks.push(() => task().then(resolve, reject))
      running ??= run()
    })
  }

  async function commit(group: Group): Promise<void> {
    const error = await write(group)
    if (error === null && context.failure() === null) context.watchFreeSpace()
    for (const frame of group.frames) settle(frame, error)
    if (group.buffer.length <= keptBufferBytes) spare = group.buffer
    if (error === null) for (const listener of [...partition.listeners]) listener()
  }

  /** @returns why the group is not durable, or null. */
  async function write(group: Group): Promise<PipelineError | null> {
    if (context.failure() !== null) return context.failure()
    try {
      if (active.size > 0 && active.size + group.length > context.segmentBytes) await roll(next)
    } catch (error) {
      return error instanceof PipelineError ? error : context.fail(error, `Beginning a segment in ${directory}`)
    }
    let base = next
    for (const frame of group.frames) {
      sealFrame(group.buffer, frame.start, frame.end, { base, count: frame.count, flags: 0, synced: active.size })
      base += frame.count
    }
    const error = await writeDurably(group.buffer, group.length)
    if (error !== null) return error
    const index = (active.index ??= { offsets: [], positions: [] })
    let offset = next
    for (const frame of group.frames) {
      noteFrame(index, offset, active.size + frame.start)
      for (let at = 0; at < frame.count; at += 1) {
        const place = frame.indexes === null ? frame.first + at : (frame.indexes[frame.first + at] ?? 0)
        frame.ticket.positions[place] = { partition: number, offset: offset + at }
      }
      offset += frame.count
    }
    active.size += group.length
    active.writtenAt = context.now()
    context.bytes += group.length
    next = base
    marked = false
    return null
  }

  /** Writes at the end of the active segment; the caller moves its size. */
  async function writeDurably(buffer: Buffer, length: number): Promise<PipelineError | null> {
    const fd = await (active.fd as Promise<number>)
    try {
      await files.write(fd, buffer, length, active.size)
    } catch (error) {
      if (!isNoSpace(error)) return context.fail(error, `Writing ${active.path}`)
      try {
        await files.truncate(fd, active.size)
        // Else a crash could bring the half-written bytes back behind a later segment.
        await files.sync(fd)
      } catch (second) {
        return context.fail(second, `Cutting ${active.path} back`)
      }
      return new PipelineError('LOG_FULL', undefined, { cause: error })
    }
    try {
      await files.datasync(fd)
    } catch (error) {
      return context.fail(error, `Syncing ${active.path}`)
    }
    return null
  }

  function settle(frame: PendingFrame, error: PipelineError | null): void {
    const { ticket } = frame
    ticket.error ??= error
    ticket.left -= 1
    if (ticket.left === 0) ticket.settle()
  }

  /** @throws LOG_FULL when there is no room; fails the log when a sync fails. */
  async function roll(base: number): Promise<void> {
    const failure = context.failure()
    if (failure !== null) throw failure
    if (base === active.base) return
    const segment = await createSegment(context, directory, base)
    const sealed = active
    active = segment
    next = base
    marked = true
    partition.segments = [...partition.segments, segment]
    await releaseSegment(files, sealed)
  }

  /** After a clean end every flipped bit is known to be one: recovery cuts nothing that a mark covers. */
  async function mark(): Promise<void> {
    if (marked || context.failure() !== null) return
    const error = await writeDurably(encodeMark(next, active.size), headerBytes)
    if (error !== null) return
    active.size += headerBytes
    context.bytes += headerBytes
    marked = true
  }
}

/** Creates an empty segment, open and durable with its name. @throws LOG_FULL; fails the log when a sync fails. */
async function createSegment(context: LogContext, directory: string, base: number): Promise<Segment> {
  const { files } = context
  const path = join(directory, segmentName(base))
  let fd: number
  try {
    fd = await files.open(path, 'wx+')
  } catch (error) {
    if (isNoSpace(error)) throw new PipelineError('LOG_FULL', undefined, { cause: error })
    throw context.fail(error, `Creating ${path}`)
  }
  try {
    await files.sync(fd)
    await syncDirectory(files, directory)
  } catch (error) {
    await files.close(fd)
    throw context.fail(error, `Syncing ${path}`)
  }
  const segment = makeSegment(path, base, context.now())
  segment.fd = Promise.resolve(fd)
  segment.holders = 1
  segment.index = { offsets: [], positions: [] }
  return segment
}

/** Removes a segment's file once readers are told to look elsewhere. @returns the bytes it held. */
export async function removeSegment(context: LogContext, partition: Partition, segment: Segment): Promise<number> {
  partition.segments = partition.segments.filter((other) => other !== segment)
  segment.retired = true
  await unlink(segment.path)
  context.bytes -= segment.size
  await syncDirectory(context.files, dirname(segment.path))
  return segment.size
}
