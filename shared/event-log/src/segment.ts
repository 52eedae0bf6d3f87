import { corrupt, isProvenSynced, parseFrame, type Frame } from './frame.ts'
import { errnoOf, type LogFiles } from './files.ts'

const chunkBytes = 1024 * 1024
const indexEveryBytes = 64 * 1024

/** Where some frames start, so that a read from any offset begins at most 64 KiB too early. */
export interface SparseIndex {
  readonly offsets: number[]
  readonly positions: number[]
}

export interface Segment {
  readonly path: string
  /** Every offset in it is at least this; its file is named by it. */
  readonly base: number
  /** Bytes known to be on the disk. */
  size: number
  /** Unix milliseconds. */
  readonly createdAt: number
  writtenAt: number
  index: SparseIndex | null
  /** Open while someone holds it: the writer of the active one, and readers. */
  fd: Promise<number> | null
  holders: number
  /** Its file was removed or replaced: readers that hold it go on, new ones look again. */
  retired: boolean
}

export function makeSegment(path: string, base: number, createdAt: number, size = 0, writtenAt = createdAt): Segment {
  return { path, base, size, createdAt, writtenAt, index: null, fd: null, holders: 0, retired: false }
}

/** Segments sort by name: 20 digits, zero-padded. */
export function segmentName(base: number): string {
  return `${String(base).padStart(20, '0')}.log`
}

/** The base offset in a segment's name, or null for any other file. */
export function segmentBase(name: string): number | null {
  return /^\d{20}\.log$/.test(name) ? Number(name.slice(0, 20)) : null
}

/** Notes a frame in the index when the last noted one is 64 KiB before it. */
export function noteFrame(index: SparseIndex, base: number, position: number): void {
  const last = index.positions.at(-1)
  if (last !== undefined && position - last < indexEveryBytes) return
  index.offsets.push(base)
  index.positions.push(position)
}

/** Where to start reading for an offset: the last noted frame at or before it. */
export function floorPosition(index: SparseIndex, offset: number): number {
  let low = 0
  let high = index.offsets.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((index.offsets[middle] ?? 0) <= offset) low = middle + 1
    else high = middle
  }
  return low === 0 ? 0 : (index.positions[low - 1] ?? 0)
}

/** Opens a segment for reading. @returns null when its file is gone or replaced: look for the segment again. */
export async function holdSegment(files: LogFiles, segment: Segment): Promise<number | null> {
  if (segment.retired && segment.fd === null) return null
  const opening = (segment.fd ??= files.open(segment.path, 'r'))
  segment.holders += 1
  try {
    const fd = await opening
    // Holding from before the replacement is fine: the descriptor still means the old file.
    if (!segment.retired || segment.holders > 1) return fd
    await releaseSegment(files, segment)
    return null
  } catch (error) {
    segment.holders -= 1
    if (segment.fd === opening) segment.fd = null
    if (segment.retired && errnoOf(error) === 'ENOENT') return null
    throw error
  }
}

export async function releaseSegment(files: LogFiles, segment: Segment): Promise<void> {
  segment.holders -= 1
  if (segment.holders > 0 || segment.fd === null) return
  const fd = segment.fd
  segment.fd = null
  await files.close(await fd)
}

export interface WalkEnd {
  /** One past the last good frame that was visited. */
  readonly position: number
  /** The frame at `position` is not whole, or its offsets go backwards. */
  readonly bad: boolean
}

/**
 * Visits the frames in `[start, end)` of a segment in order, checking each one's checksum and that offsets grow.
 * `visit` gets the frame, the buffer it lies in and its position in the file, and returns false to stop.
 */
export async function walkFrames(
  files: LogFiles,
  fd: number,
  range: { start: number; end: number; chunkBytes?: number },
  visit: (frame: Frame, buffer: Buffer, position: number) => boolean | void,
): Promise<WalkEnd> {
  let position = range.start
  let next = 0
  let wanted = range.chunkBytes ?? chunkBytes
  while (position < range.end) {
    // Not from the pool: records keep pointing into it.
    const space = Buffer.allocUnsafeSlow(Math.min(wanted, range.end - position))
    const buffer = space.subarray(0, await files.read(fd, space, position))
    let at = 0
    let missing = 0
    while (at < buffer.length) {
      const frame = parseFrame(buffer, at)
      if (typeof frame === 'number') {
        missing = frame
        break
      }
      if (frame === 'bad' || frame.base < next) return { position: position + at, bad: true }
      next = frame.next
      at = frame.end
      if (visit(frame, buffer, position + frame.start) === false) return { position: position + at, bad: false }
    }
    position += at
    if (position + missing > range.end || (buffer.length < space.length && position < range.end)) {
      return { position, bad: true }
    }
    wanted = Math.max(chunkBytes, missing)
  }
  return { position, bad: false }
}

/** Reads a sealed segment once and notes its frames. @throws LOG_CORRUPT */
export async function buildIndex(files: LogFiles, fd: number, segment: Segment): Promise<SparseIndex> {
  const index: SparseIndex = { offsets: [], positions: [] }
  const walked = await walkFrames(files, fd, { start: 0, end: segment.size }, (frame, _buffer, position) =>
    noteFrame(index, frame.base, position),
  )
  if (walked.bad) throw corrupt(segment.path, walked.position, 'a frame of a sealed segment fails its checksum')
  return index
}

export interface SegmentScan {
  readonly index: SparseIndex
  /** One past its last whole frame. */
  readonly goodBytes: number
  /** One past the highest offset in it; its base when it is empty. */
  readonly next: number
  readonly records: number
}

/**
 * Reads the last segment after a crash, up to where whole frames end.
 * @throws LOG_CORRUPT when what follows proves that the bad frame had been on the disk.
 */
export async function scanLastSegment(
  files: LogFiles,
  fd: number,
  segment: { path: string; base: number; size: number },
): Promise<SegmentScan> {
  const index: SparseIndex = { offsets: [], positions: [] }
  let next = segment.base
  let records = 0
  const walked = await walkFrames(files, fd, { start: 0, end: segment.size }, (frame, _buffer, position) => {
    noteFrame(index, frame.base, position)
    next = Math.max(next, frame.next)
    records += frame.count
  })
  if (walked.bad) {
    const rest = Buffer.allocUnsafeSlow(segment.size - walked.position)
    const read = await files.read(fd, rest, walked.position)
    if (isProvenSynced(rest.subarray(0, read), walked.position)) {
      throw corrupt(segment.path, walked.position, 'a frame that had been synced fails its checksum')
    }
  }
  return { index, goodBytes: walked.position, next, records }
}
