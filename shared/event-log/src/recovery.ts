import { mkdir, readdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { PipelineError } from '@footfall/contracts/errors'
import { loadGroups, makeConsumersDirectory, type Groups } from './consumers.ts'
import type { LogContext } from './context.ts'
import { syncDirectory } from './files.ts'
import { corrupt } from './frame.ts'
import { openPartition, type Partition } from './partition.ts'
import { makeSegment, scanLastSegment, segmentBase, segmentName, type Segment } from './segment.ts'

const newTopicPrefix = '.new-'

/** A torn tail that recovery cut: bytes that no caller was promised. */
export interface CutTail {
  readonly file: string
  readonly cutBytes: number
}

/** The topics that a log's directory holds; what a crash left of one being made is removed. */
export async function listTopics(directory: string): Promise<string[]> {
  const topics: string[] = []
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name === 'lock') continue
    if (entry.name.startsWith(newTopicPrefix)) await rm(join(directory, entry.name), { recursive: true })
    else topics.push(entry.name)
  }
  return topics
}

/** The numbers of a topic's partitions, in order. */
export async function listPartitions(topicDirectory: string): Promise<number[]> {
  const names = await readdir(topicDirectory)
  return names
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b)
}

/** The segment files of a partition, oldest first. */
export async function listSegments(partitionDirectory: string): Promise<{ path: string; base: number }[]> {
  const found: { path: string; base: number }[] = []
  for (const name of (await readdir(partitionDirectory)).sort()) {
    const base = segmentBase(name)
    if (base !== null) found.push({ path: join(partitionDirectory, name), base })
  }
  return found
}

/** Makes a topic with its partitions, whole or not at all. */
export async function createTopic(context: LogContext, directory: string, topic: string, count: number): Promise<void> {
  const { files } = context
  const temporary = join(directory, newTopicPrefix + topic)
  await rm(temporary, { recursive: true, force: true })
  for (let number = 0; number < count; number += 1) {
    const partition = join(temporary, String(number))
    await mkdir(partition, { recursive: true, mode: 0o700 })
    await makeConsumersDirectory(partition)
    const fd = await files.open(join(partition, segmentName(0)), 'wx')
    await files.sync(fd).finally(() => files.close(fd))
    await syncDirectory(files, partition)
  }
  await syncDirectory(files, temporary)
  await rename(temporary, join(directory, topic))
  await syncDirectory(files, directory)
}

/**
 * Opens a partition: reads its last segment and the groups' positions, and cuts a torn tail.
 * @throws LOG_CORRUPT naming file and byte, when synced bytes are damaged or consumed records are missing.
 */
export async function recoverPartition(
  context: LogContext,
  directory: string,
  number: number,
  onCut: (tail: CutTail) => void,
): Promise<{ partition: Partition; groups: Groups }> {
  const { files } = context
  for (const name of await readdir(directory)) {
    if (name.endsWith('.tmp')) await unlink(join(directory, name))
  }
  const groups = await loadGroups(join(directory, 'consumers'))
  const segments: Segment[] = []
  for (const { path, base } of await listSegments(directory)) {
    const { size, birthtimeMs, mtimeMs } = await stat(path)
    segments.push(makeSegment(path, base, birthtimeMs || mtimeMs, size, mtimeMs))
  }
  const active = segments.at(-1)
  if (active === undefined) throw new PipelineError('LOG_CORRUPT', `${directory} holds no segment.`)

  active.fd = files.open(active.path, 'r+')
  active.holders = 1
  const fd = await active.fd
  try {
    const scan = await scanLastSegment(files, fd, active)
    for (const [group, { position }] of groups) {
      const needed = Math.max(position.next, position.claimed ?? 0)
      if (needed > scan.next) {
        const why = `group ${group} has records up to ${needed} but the log ends at ${scan.next}`
        throw corrupt(active.path, scan.goodBytes, why)
      }
    }
    if (scan.goodBytes < active.size) {
      await files.truncate(fd, scan.goodBytes)
      onCut({ file: active.path, cutBytes: active.size - scan.goodBytes })
    }
    // What a killed process had written but not synced is read from now on: it must be durable before.
    await files.sync(fd)
    await syncDirectory(files, directory)
    active.size = scan.goodBytes
    active.index = scan.index
    for (const segment of segments) context.bytes += segment.size
    return { partition: openPartition(context, directory, number, { segments, active, next: scan.next }), groups }
  } catch (error) {
    await files.close(fd)
    throw error
  }
}
