import { crc32 } from 'node:zlib'
import { PipelineError } from '@footfall/contracts/errors'
import type { StoredRecord } from './event-log.ts'

/**
 * A segment is a sequence of frames, all numbers little-endian:
 *
 *     u32 length of body · u32 crc32(body) · body
 *     body = u64 base offset · u32 count · 'FFL' u8 flags · u32 synced · count × record
 *     record = u32 length · bytes                     offsets base, base + 1, …
 *            | u32 offset − base · u32 length · bytes    with `flagExplicit`, after an erasure
 *
 * `synced`: the bytes before this position of the segment were on the disk before this frame was written. So a bad frame
 * before that position is corruption, and one after it is the tail that a crash tore (the pages of one unsynced
 * write reach the disk in any order). A frame without records is a mark: it carries only that proof.
 */
export const headerBytes = 28
export const maxFrameBytes = 1024 * 1024
export const maxRecordBytes = 512 * 1024
export const flagExplicit = 1

const magic = Buffer.from('FFL')
const magicWord = 0x4c4646
const word = 2 ** 32

export interface Frame {
  readonly base: number
  readonly count: number
  readonly flags: number
  readonly synced: number
  /** One past the highest offset in it. */
  readonly next: number
  /** Where it starts and ends in the buffer it was read from. */
  readonly start: number
  readonly end: number
}

/** Fills the header of a frame whose records are in place: `end` is one past the last of their bytes. */
export function sealFrame(
  buffer: Buffer,
  start: number,
  end: number,
  head: { base: number; count: number; flags: number; synced: number },
): void {
  buffer.writeUInt32LE(end - start - 8, start)
  buffer.writeUInt32LE(head.base % word, start + 8)
  buffer.writeUInt32LE(Math.floor(head.base / word), start + 12)
  buffer.writeUInt32LE(head.count, start + 16)
  buffer.writeUInt32LE(magicWord + head.flags * 0x1000000, start + 20)
  buffer.writeUInt32LE(head.synced, start + 24)
  buffer.writeUInt32LE(crc32(buffer.subarray(start + 8, end)), start + 4)
}

/** A frame without records: proof that `position` bytes of the segment are on the disk. */
export function encodeMark(base: number, position: number): Buffer {
  const buffer = Buffer.alloc(headerBytes)
  sealFrame(buffer, 0, headerBytes, { base, count: 0, flags: 0, synced: position })
  return buffer
}

/** The records that are left of a frame, with the offsets they had. */
export function encodeKept(records: readonly StoredRecord[], base: number, synced: number): Buffer {
  const bytes = records.reduce((sum, record) => sum + 8 + record.value.length, headerBytes)
  const buffer = Buffer.alloc(bytes)
  let at = headerBytes
  for (const record of records) {
    buffer.writeUInt32LE(record.offset - base, at)
    buffer.writeUInt32LE(record.value.length, at + 4)
    record.value.copy(buffer, at + 8)
    at += 8 + record.value.length
  }
  sealFrame(buffer, 0, bytes, { base, count: records.length, flags: flagExplicit, synced })
  return buffer
}

/**
 * Reads the frame at `start`.
 * @returns the frame; the bytes it needs, when the buffer ends before it; or 'bad'.
 */
export function parseFrame(buffer: Buffer, start: number): Frame | number | 'bad' {
  if (buffer.length - start < 8) return 8
  const length = buffer.readUInt32LE(start)
  if (length < headerBytes - 8 || length > maxFrameBytes) return 'bad'
  const end = start + 8 + length
  if (end > buffer.length) return 8 + length
  if (crc32(buffer.subarray(start + 8, end)) !== buffer.readUInt32LE(start + 4)) return 'bad'
  const tag = buffer.readUInt32LE(start + 20)
  if (tag % 0x1000000 !== magicWord) return 'bad'
  const flags = Math.floor(tag / 0x1000000)
  const base = buffer.readUInt32LE(start + 8) + buffer.readUInt32LE(start + 12) * word
  const count = buffer.readUInt32LE(start + 16)
  const next = flags & flagExplicit ? base + lastDelta(buffer, start, count) + 1 : base + count
  return { base, count, flags, synced: buffer.readUInt32LE(start + 24), next, start, end }
}

function lastDelta(buffer: Buffer, start: number, count: number): number {
  let at = start + headerBytes
  let delta = -1
  for (let index = 0; index < count; index += 1) {
    delta = buffer.readUInt32LE(at)
    at += 8 + buffer.readUInt32LE(at + 4)
  }
  return delta
}

/**
 * Adds the records of a frame from offset `from` on to `into`, up to the limits; the first one is always taken.
 * Values share the buffer's memory.
 * @returns the bytes taken, and the offset to go on from.
 */
export function takeRecords(
  buffer: Buffer,
  frame: Frame,
  from: number,
  into: StoredRecord[],
  limits: { maxRecords: number; maxBytes: number; takenBytes: number },
): { takenBytes: number; next: number } {
  const explicit = (frame.flags & flagExplicit) !== 0
  let takenBytes = limits.takenBytes
  let at = frame.start + headerBytes
  for (let index = 0; index < frame.count; index += 1) {
    const offset = frame.base + (explicit ? buffer.readUInt32LE(at) : index)
    if (explicit) at += 4
    const length = buffer.readUInt32LE(at)
    const start = at + 4
    at = start + length
    if (offset < from) continue
    const full = into.length >= limits.maxRecords || takenBytes + length > limits.maxBytes
    if (full && into.length > 0) return { takenBytes, next: offset }
    into.push({ offset, value: buffer.subarray(start, at) })
    takenBytes += length
  }
  return { takenBytes, next: Math.max(from, frame.next) }
}

/**
 * Looks for a whole frame anywhere after a bad one that proves the bad one had been on the disk.
 * @param buffer the rest of the segment from the bad frame on; @param position where that is in the segment.
 */
export function isProvenSynced(buffer: Buffer, position: number): boolean {
  for (let at = buffer.indexOf(magic, 20); at >= 0; at = buffer.indexOf(magic, at + 1)) {
    const start = at - 20
    if (start < 1) continue
    const frame = parseFrame(buffer, start)
    if (typeof frame === 'object' && frame.synced > position && frame.synced <= position + start) return true
  }
  return false
}

export function corrupt(path: string, position: number, why: string): PipelineError {
  return new PipelineError('LOG_CORRUPT', `${path} at byte ${position}: ${why}.`)
}
