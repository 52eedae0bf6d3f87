import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Job, JobContext } from '@footfall/job-queue'
import type { Store } from '@footfall/store/open'
import * as z from 'zod'

export const backupPayloadSchema = z.strictObject({
  /** Name of the folder below `backups`; default: the time. */
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,80}$/)
    .optional(),
})

export interface BackupParts {
  readonly store: Store
  /** Holds the consumer between two batches. */
  readonly pause: () => Promise<() => void>
  /** Copies the log as it is now; it takes events meanwhile. */
  readonly copyLog: (directory: string) => Promise<unknown>
  readonly backupsDirectory: string
  /** Small files that belong to a backup; salts and tokens never do. */
  readonly files: readonly string[]
  readonly now: () => number
}

/** SHA-256 of a file of any size, in hex. */
export async function hashFile(file: string): Promise<string> {
  const digest = createHash('sha256')
  await pipeline(createReadStream(file), digest)
  return digest.digest('hex')
}

async function listFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

/**
 * Writes a whole backup below `backups`: the store at one moment (between two batches, while nothing folds or removes),
 * then the log, which holds at least what the store has. Events that arrive meanwhile are in the log's part or not at all,
 * never halfway. Runs alone: nothing else may change the store's tables but the consumer.
 */
export async function backup(
  job: Job,
  context: JobContext,
  parts: BackupParts,
): Promise<{ directory: string; files: number; bytes: number }> {
  const { name = `backup-${job.id}` } = backupPayloadSchema.parse(job.payload)
  const target = join(parts.backupsDirectory, name)
  const building = `${target}.building`
  await rm(building, { recursive: true, force: true })
  await mkdir(building, { recursive: true, mode: 0o700 })

  await context.progress({ done: 0, total: 3, note: 'the store' })
  // Held until the log is copied too: what is consumed after the store's copy might be reclaimed, and in neither.
  const resume = await parts.pause()
  try {
    // The path is ours: name and folder hold no quote.
    await parts.store.command(`BACKUP DATABASE footfall TO File('${join(building, 'store.tar.zst')}')`)
    await context.progress({ done: 1, total: 3, note: 'the log' })
    await parts.copyLog(join(building, 'log'))
  } finally {
    resume()
  }
  for (const file of parts.files) {
    await copyFile(file, join(building, basename(file))).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
  }
  await context.progress({ done: 2, total: 3, note: 'checksums' })
  const files = await listFiles(building)
  const listed: { path: string; bytes: number; sha256: string }[] = []
  for (const file of files)
    listed.push({ path: relative(building, file), bytes: (await stat(file)).size, sha256: await hashFile(file) })
  const handle = await open(join(building, 'backup.json'), 'w', 0o600)
  try {
    await handle.writeFile(
      `${JSON.stringify({ v: 1, made_at: new Date(parts.now()).toISOString(), files: listed }, null, 2)}\n`,
    )
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rm(target, { recursive: true, force: true })
  await rename(building, target)
  return { directory: target, files: listed.length, bytes: listed.reduce((sum, file) => sum + file.bytes, 0) }
}
