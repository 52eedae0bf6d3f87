import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EventLog } from '../src/event-log.ts'
import { openEmbeddedEventLog, type EmbeddedExtras, type EmbeddedLogOptions } from '../src/embedded.ts'

export type EmbeddedLog = EventLog & EmbeddedExtras

/** Directories and logs of one test; `remove` closes and deletes them. */
export async function makeDirectories() {
  const root = await mkdtemp(join(tmpdir(), 'footfall-log-'))
  const logs: EmbeddedLog[] = []
  let made = 0
  return {
    root,
    fresh: () => join(root, String((made += 1))),
    open: async (directory: string, options: Omit<EmbeddedLogOptions, 'directory'> = {}) => {
      const log = await openEmbeddedEventLog({ minFreeBytes: 0, ...options, directory })
      logs.push(log)
      return log
    },
    /** What a killed process leaves: the files as they are, without its socket. */
    crashCopy: async (directory: string) => {
      const copy = join(root, String((made += 1)))
      await cp(directory, copy, { recursive: true, filter: (path) => !path.endsWith('/lock') })
      return copy
    },
    remove: async () => {
      for (const log of logs) await log.close()
      await rm(root, { recursive: true })
    },
  }
}

/** Paths of a partition's segments, oldest first. */
export async function segmentPaths(directory: string, topic: string, partition = 0): Promise<string[]> {
  const path = join(directory, topic, String(partition))
  return (await readdir(path))
    .filter((name) => name.endsWith('.log'))
    .sort()
    .map((name) => join(path, name))
}

/** Random numbers in [0, 1) that a seed repeats (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
