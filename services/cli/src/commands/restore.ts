import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Config } from '@footfall/config/config'
import { storeGroup } from '@footfall/consumer/consume'
import { PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { hashFile } from '@footfall/jobs/backup'
import { migrate, migrationsDirectory } from '@footfall/store/migrate'
import type { Store } from '@footfall/store/open'
import { readQuery } from '@footfall/store/queries'
import type { Command } from 'commander'
import * as z from 'zod'
import { withEmbeddedStore } from '../embedded-store.ts'
import { findServer } from '../server.ts'

const manifestSchema = z.object({
  v: z.literal(1),
  made_at: z.string(),
  files: z.array(z.object({ path: z.string(), bytes: z.number(), sha256: z.string() })),
})

/** Refuses a backup that is not whole. */
export async function checkBackup(directory: string): Promise<z.infer<typeof manifestSchema>> {
  const file = join(directory, 'backup.json')
  if (!existsSync(file))
    throw new PipelineError(
      'INVALID_REQUEST',
      `${directory} holds no backup.json: it is no backup, or one that was cut off.`,
    )
  const manifest = manifestSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  for (const { path, sha256 } of manifest.files) {
    if ((await hashFile(join(directory, path)).catch(() => null)) !== sha256)
      throw new PipelineError(
        'INVALID_REQUEST',
        `${path} of the backup is missing or was changed. Nothing was restored.`,
      )
  }
  return manifest
}

/**
 * Sets the consumer to where the store is: it is the truth, files are hints. What the log has beyond is read again;
 * where the store is ahead of the log, new events begin after it, so that no two ever share a place.
 */
async function resumeFromStore(config: Config, store: Store): Promise<string[]> {
  const log = await openEmbeddedEventLog({ directory: config.eventLogUrl.replace(/^file:/, '') })
  try {
    const lines: string[] = []
    for (const { partition, start, end } of await log.partitions(topics.events)) {
      const [row] = await store.query<{ next: string; rows_end: string }>(readQuery('stored-position'), {
        log_id: log.logId,
        partition,
      })
      const next = Number(row?.next ?? 0)
      const rowsEnd = Number(row?.rows_end ?? 0)
      const claimed = rowsEnd > next ? rowsEnd : undefined
      if (next < start) {
        throw new PipelineError(
          'POSITION_DISAGREES',
          `Partition ${partition}: the store ends at ${next}, the log begins at ${start}. What lies between is in neither; restore a log that reaches back further.`,
        )
      }
      await log.skipTo(topics.events, partition, claimed ?? next)
      await log.setPosition(topics.events, storeGroup, partition, {
        next,
        ...(claimed === undefined ? {} : { claimed }),
      })
      lines.push(
        `Partition ${partition}: goes on at ${next}; ${Math.max(0, end - next)} records of the log are read again.`,
      )
    }
    return lines
  } finally {
    await log.close()
  }
}

/** Fills an empty store from a file that BACKUP wrote, and makes the consumer go on where that ends. */
async function fillStore(config: Config, file: string): Promise<string[]> {
  return withEmbeddedStore(config, dirname(file), async (store) => {
    await store.command(
      `RESTORE DATABASE footfall FROM File('${file.replace(/'/g, "\\'")}') SETTINGS allow_non_empty_tables = 1`,
    )
    // The backup of the store as it is now is the one it comes from.
    await migrate(store, migrationsDirectory(), { backup: () => Promise.resolve(file) })
    return resumeFromStore(config, store)
  })
}

/** Puts the store alone back; what was there stays beside it. On a failure everything is as it was. */
async function replaceStore(config: Config, file: string): Promise<{ lines: string[]; replaced: string }> {
  if (!existsSync(file)) throw new PipelineError('INVALID_REQUEST', `${file} is not there.`)
  const directory = config.storeUrl.replace(/^embedded:/, '')
  const replaced = `${directory}.replaced-${new Date().toISOString().replace(/[:.]/g, '-')}`
  await rename(directory, replaced)
  try {
    return { lines: await fillStore(config, file), replaced }
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    await rename(replaced, directory)
    throw error
  }
}

export function restoreCommand(program: Command, config: () => Config): void {
  program
    .command('restore')
    .description('put a backup into an empty data directory, or make log and store of different moments agree')
    .argument('[backup]', 'directory that footfall backup wrote')
    .option('--store <file>', 'put the store alone back, from a file that was written before a migration')
    .option('--resume', 'restore nothing: make the consumer go on where the store is')
    .action(async (directory: string | undefined, options: { store?: string; resume?: boolean }) => {
      const read = config()
      if (await findServer(read))
        throw new PipelineError('CONFLICT', 'The server is running on this data directory: stop it first.')
      if (options.resume) {
        const lines = await withEmbeddedStore(read, join(read.dataDirectory, 'backups'), (store) =>
          resumeFromStore(read, store),
        )
        console.log(lines.join('\n'))
        return
      }
      if (options.store !== undefined) {
        const { lines, replaced } = await replaceStore(read, resolve(options.store))
        console.log(`The store was put back.\n${lines.join('\n')}\nWhat was there is in ${replaced}: remove it later.`)
        return
      }
      if (directory === undefined)
        throw new PipelineError('INVALID_REQUEST', 'Name the backup, or say --store or --resume.')
      const from = resolve(directory)
      const manifest = await checkBackup(from)
      const present = existsSync(read.dataDirectory) ? await readdir(read.dataDirectory) : []
      if (present.length > 0)
        throw new PipelineError('CONFLICT', `${read.dataDirectory} is not empty: restore into a new DATA_DIR.`)
      await mkdir(read.dataDirectory, { recursive: true, mode: 0o700 })
      await cp(join(from, 'log'), read.eventLogUrl.replace(/^file:/, ''), { recursive: true })
      if (existsSync(join(from, 'import-secrets.json')))
        await cp(join(from, 'import-secrets.json'), join(read.dataDirectory, 'import-secrets.json'))
      const lines = await fillStore(read, join(from, 'store.tar.zst'))
      console.log(
        `Restored the backup of ${manifest.made_at} (${manifest.files.length} files).\n${lines.join('\n')}\nVisitors of today are not known again until the next midnight: their salts are in no backup.`,
      )
    })
}
