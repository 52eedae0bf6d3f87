import { copyFile, mkdir, readdir, rename, unlink, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { PipelineError } from '@footfall/contracts/errors'
import { printPosition, type Groups } from './consumers.ts'
import type { LogContext } from './context.ts'
import type { Position, StoredRecord } from './event-log.ts'
import { errnoOf, isNoSpace, syncDirectory, type LogFiles } from './files.ts'
import { corrupt, encodeKept, encodeMark, sealFrame, takeRecords } from './frame.ts'
import { removeSegment, type Partition } from './partition.ts'
import { holdSegment, makeSegment, releaseSegment, walkFrames, type Segment } from './segment.ts'

const noLimits = { maxRecords: Infinity, maxBytes: Infinity, takenBytes: 0 }

export interface Retention {
  /** How long consumed segments are kept. */
  readonly consumedMs: number
  /** Set for topics that are dropped by age alone, consumed or not. */
  readonly byAgeMs: number | undefined
}

/**
 * Removes the oldest segments of a partition that nobody needs any more: consumed by every known group and older than the
 * retention (a tight log does not wait for that: consumed records are in the store), or just old in a topic dropped by age.
 * A partition without groups keeps everything.
 * @returns the bytes freed.
 */
export async function reclaimPartition(
  context: LogContext,
  partition: Partition,
  groups: Groups,
  retention: Retention,
): Promise<number> {
  const retainMs = retention.byAgeMs ?? retention.consumedMs
  if (groups.size === 0 && retention.byAgeMs === undefined) return 0
  const consumedTo = Math.min(...[...groups.values()].map(({ position }) => position.next))
  const mayGo = (segment: Segment, endOffset: number) => {
    const isOld = context.now() - segment.writtenAt >= retainMs
    if (retention.byAgeMs !== undefined) return isOld
    return endOffset <= consumedTo && (isOld || context.isTight())
  }
  const newest = partition.segments.at(-1) as Segment
  // A quiet topic would else keep its records until 64 MiB have come.
  const isDue = context.now() - newest.createdAt >= retainMs / 4 || mayGo(newest, partition.next())
  if (newest.size > 0 && isDue) await partition.roll()
  let freed = 0
  for (;;) {
    const [oldest, following] = partition.segments
    if (oldest === undefined || following === undefined || !mayGo(oldest, following.base)) return freed
    freed += await removeSegment(context, partition, oldest)
  }
}

/**
 * Rewrites the segments of a partition without the records that `keep` refuses; offsets stay, with gaps.
 * A crash leaves each segment either as it was or rewritten.
 * @returns how many records are gone.
 */
export async function rewritePartition(
  context: LogContext,
  partition: Partition,
  keep: (record: StoredRecord) => boolean,
): Promise<number> {
  if ((partition.segments.at(-1) as Segment).size > 0) await partition.roll()
  let removed = 0
  for (const segment of partition.segments.slice(0, -1)) {
    removed += await rewriteSegment(context, partition, segment, keep)
  }
  return removed
}

async function rewriteSegment(
  context: LogContext,
  partition: Partition,
  segment: Segment,
  keep: (record: StoredRecord) => boolean,
): Promise<number> {
  const { files } = context
  const fd = await holdSegment(files, segment)
  if (fd === null) return 0
  const parts: Buffer[] = []
  let removed = 0
  let size = 0
  try {
    const walked = await walkFrames(files, fd, { start: 0, end: segment.size }, (frame, buffer) => {
      const all: StoredRecord[] = []
      takeRecords(buffer, frame, 0, all, noLimits)
      const kept = all.filter(keep)
      removed += all.length - kept.length
      if (kept.length === 0) return
      const whole = kept.length === all.length
      const bytes = whole ? buffer.subarray(frame.start, frame.end) : encodeKept(kept, frame.base, size)
      if (whole) sealFrame(bytes, 0, bytes.length, { ...frame, synced: size })
      parts.push(bytes)
      size += bytes.length
    })
    if (walked.bad) throw corrupt(segment.path, walked.position, 'a frame of a sealed segment fails its checksum')
  } finally {
    await releaseSegment(files, segment)
  }
  if (removed === 0) return 0
  await replaceSegment(context, partition, segment, Buffer.concat(parts))
  return removed
}

/** Swaps a sealed segment's file; its time of writing stays, so that its age counts from then. */
async function replaceSegment(
  context: LogContext,
  partition: Partition,
  segment: Segment,
  bytes: Buffer,
): Promise<void> {
  const temporary = `${segment.path}.tmp`
  try {
    await writeSynced(context.files, temporary, bytes)
    await utimes(temporary, segment.writtenAt / 1000, segment.writtenAt / 1000)
  } catch (error) {
    await unlink(temporary).catch(() => undefined) // Recovery removes it as well.
    if (isNoSpace(error)) throw new PipelineError('LOG_FULL', undefined, { cause: error })
    throw context.fail(error, `Writing ${temporary}`)
  }
  const { path, base, createdAt, writtenAt } = segment
  const replacement = makeSegment(path, base, createdAt, bytes.length, writtenAt)
  partition.segments = partition.segments.map((other) => (other === segment ? replacement : other))
  segment.retired = true
  try {
    await rename(temporary, path)
    await syncDirectory(context.files, partition.directory)
  } catch (error) {
    throw context.fail(error, `Replacing ${path}`)
  }
  context.bytes += bytes.length - segment.size
}

async function writeSynced(files: LogFiles, path: string, bytes: Buffer): Promise<void> {
  const fd = await files.open(path, 'w')
  try {
    await files.write(fd, bytes, bytes.length, 0)
    await files.sync(fd)
  } finally {
    await files.close(fd)
  }
}

/** What a copy holds of a partition: taken in one turn of the event loop, so that positions and records agree. */
interface PartitionSnapshot {
  readonly topic: string
  readonly number: number
  readonly next: number
  readonly segments: readonly { segment: Segment; size: number }[]
  readonly positions: readonly (readonly [group: string, position: Position])[]
}

export function snapshotPartition(topic: string, partition: Partition, groups: Groups): PartitionSnapshot {
  return {
    topic,
    number: partition.number,
    next: partition.next(),
    segments: partition.segments.map((segment) => ({ segment, size: segment.size })),
    positions: [...groups].map(([name, { position }]) => [name, position] as const),
  }
}

/**
 * Writes a copy of a log that opens like the original as it was at the snapshots; appends may go on meanwhile.
 * @param directory absent or empty. @throws CONFLICT when it holds something.
 */
export async function copyLog(
  context: LogContext,
  logId: string,
  snapshots: readonly PartitionSnapshot[],
  directory: string,
): Promise<void> {
  const { files } = context
  await mkdir(directory, { recursive: true, mode: 0o700 })
  if ((await readdir(directory)).length > 0) throw new PipelineError('CONFLICT', `${directory} is not empty.`)
  for (const { topic, number, next, segments, positions } of snapshots) {
    const target = join(directory, topic, String(number))
    await mkdir(join(target, 'consumers'), { recursive: true, mode: 0o700 })
    for (const [name, position] of positions) {
      await writeSynced(files, join(target, 'consumers', `${name}.json`), Buffer.from(printPosition(position)))
    }
    for (const { segment, size } of segments) {
      const path = join(target, basename(segment.path))
      await copyFile(segment.path, path)
      const fd = await files.open(path, 'r+')
      try {
        // What was appended after the snapshot is not part of it.
        await files.truncate(fd, size)
        const isLast = segment === segments.at(-1)?.segment
        if (isLast && size > 0) {
          const mark = encodeMark(next, size)
          await files.write(fd, mark, mark.length, size)
        }
        await files.sync(fd)
      } finally {
        await files.close(fd)
      }
    }
    await syncDirectory(files, join(target, 'consumers'))
    await syncDirectory(files, target)
    await syncDirectory(files, join(directory, topic))
  }
  // Last: a copy that was cut short has no identity and is not opened by mistake.
  await writeFile(join(directory, 'logid'), `${logId}\n`, { mode: 0o600, flush: true }).catch((error: unknown) => {
    throw errnoOf(error) === 'ENOSPC' ? new PipelineError('LOG_FULL', undefined, { cause: error }) : error
  })
  await syncDirectory(files, directory)
}
