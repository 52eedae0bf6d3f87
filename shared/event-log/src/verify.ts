import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isPipelineError } from '@footfall/contracts/errors'
import { loadGroups } from './consumers.ts'
import { realFiles } from './files.ts'
import { corrupt } from './frame.ts'
import { listPartitions, listSegments } from './recovery.ts'
import { scanLastSegment, walkFrames } from './segment.ts'

export interface LogVerification {
  readonly segments: number
  readonly records: number
  readonly bytes: number
  /** One sentence for each damaged segment or position, naming file and byte. */
  readonly problems: readonly string[]
}

/**
 * Reads every byte of an embedded log and checks it; changes nothing and needs no lock.
 * A torn tail is no problem: it is a write that no caller was promised, or one under way.
 */
export async function verifyLog(directory: string): Promise<LogVerification> {
  const total = { segments: 0, records: 0, bytes: 0 }
  const problems: string[] = []
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name === 'lock' || entry.name.startsWith('.')) continue
    for (const number of await listPartitions(join(directory, entry.name))) {
      await verifyPartition(join(directory, entry.name, String(number)))
    }
  }
  return { ...total, problems }

  async function verifyPartition(path: string): Promise<void> {
    const segments = await listSegments(path)
    if (segments.length === 0) problems.push(`${path} holds no segment.`)
    let end = 0
    for (const [index, segment] of segments.entries()) {
      const isLast = index === segments.length - 1
      end = (await noteProblem(() => verifySegment(segment, isLast))) ?? end
    }
    const groups = await noteProblem(() => loadGroups(join(path, 'consumers')))
    for (const [name, { position }] of groups ?? []) {
      const needed = Math.max(position.next, position.claimed ?? 0)
      if (needed > end) problems.push(`${path}: group ${name} has records up to ${needed} but the log ends at ${end}.`)
    }
  }

  /** @returns one past its highest offset. @throws LOG_CORRUPT */
  async function verifySegment(segment: { path: string; base: number }, isLast: boolean): Promise<number> {
    const { size } = await stat(segment.path)
    total.segments += 1
    total.bytes += size
    const fd = await realFiles.open(segment.path, 'r')
    try {
      if (isLast) {
        const scan = await scanLastSegment(realFiles, fd, { ...segment, size })
        total.records += scan.records
        return scan.next
      }
      const walked = await walkFrames(realFiles, fd, { start: 0, end: size }, (frame) => {
        total.records += frame.count
      })
      if (walked.bad) throw corrupt(segment.path, walked.position, 'a frame of a sealed segment fails its checksum')
      return segment.base
    } finally {
      await realFiles.close(fd)
    }
  }

  async function noteProblem<T>(check: () => Promise<T>): Promise<T | null> {
    try {
      return await check()
    } catch (error) {
      if (!isPipelineError(error, 'LOG_CORRUPT')) throw error
      problems.push(error.message)
      return null
    }
  }
}
