import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { isPipelineError, PipelineError } from '@footfall/contracts/errors'
import * as z from 'zod'
import type { Store } from './open.ts'
import { readQuery } from './queries.ts'

interface Migration {
  readonly id: string
  readonly checksum: string
  readonly statements: readonly string[]
}

/** A row of the table `migrations`; of a store that no version with backups has touched, without the last two. */
interface AppliedRow {
  readonly id: string
  readonly checksum: string
  readonly backup?: string
  readonly kept?: string
}

const boundsSchema = z.object({
  log_ids: z.array(z.string()),
  partitions: z.array(z.number()),
  ends: z.array(z.coerce.number()),
  oldest_month: z.number(),
})
/** How much there was before the first statement, and which rows were counted. */
const keptSchema = z.object({ bounds: boundsSchema, counts: z.record(z.string(), z.string()) })
type Kept = z.infer<typeof keptSchema>

/** What stands instead of a checksum from a migration's first statement until it has agreed. */
const begun = ''

export interface MigrateOptions {
  /**
   * Keeps the whole store under a name, before the first statement; resolves to where that is. Called when the store
   * holds anything, and not again once the first statement may have run. May be repeated under one name before that.
   * @throws what stops the migration. null: whoever runs the server has backups of their own.
   */
  readonly backup: ((name: string) => Promise<string>) | null
}

/** What was done to bring a store up to date. */
export interface Migrated {
  readonly applied: readonly string[]
  /** Where the store of before is; null when there was nothing to keep, or nobody to keep it. */
  readonly backup: string | null
  /** What must not change and did not; null when there was nothing to compare. */
  readonly counts: Readonly<Record<string, string>> | null
}

/** Splits a file at semicolons that end a line; comments and strings of ours hold none there. */
function splitStatements(sql: string): string[] {
  return sql
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement.replace(/--.*$/gm, '').trim() !== '')
}

async function readMigrations(directory: string): Promise<Migration[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql')).sort()
  return Promise.all(
    files.map(async (file) => {
      const sql = await readFile(join(directory, file), 'utf8')
      return {
        id: file.replace(/\.sql$/, ''),
        checksum: createHash('sha256').update(sql).digest('hex'),
        statements: splitStatements(sql),
      }
    }),
  )
}

/** The migrations of this version. */
export const migrationsDirectory = (): string => join(findRoot(), 'shared/store/migrations')

/** What a store lacks of the migrations in a directory. @throws STORE_NEWER, CONFLICT */
async function findPending(
  store: Store,
  directory: string,
): Promise<{ pending: Migration[]; isNew: boolean; unfinished: AppliedRow | undefined }> {
  const migrations = await readMigrations(directory)
  await store.command(
    `CREATE TABLE IF NOT EXISTS migrations (id String, checksum String, applied_at DateTime64(3, 'UTC'))
     ENGINE = ReplacingMergeTree ORDER BY id SETTINGS fsync_after_insert = 1, fsync_part_directory = 1`,
  )
  const rows = await store.query<AppliedRow>('SELECT * FROM migrations FINAL ORDER BY id')
  const known = new Map(migrations.map((migration) => [migration.id, migration.checksum]))
  for (const { id, checksum } of rows) {
    const ours = known.get(id)
    if (ours === undefined) throw new PipelineError('STORE_NEWER', `It holds migration ${id}.`)
    if (checksum !== begun && ours !== checksum)
      throw new PipelineError('CONFLICT', `Migration ${id} was changed after it was applied.`)
  }
  const applied = new Set(rows.filter(({ checksum }) => checksum !== begun).map(({ id }) => id))
  const pending = migrations.filter(({ id }) => !applied.has(id))
  return {
    pending,
    isNew: applied.size === 0 || (pending.length > 0 && (await isEmpty(store))),
    unfinished: rows.find(({ checksum }) => checksum === begun),
  }
}

/** A first start that was cut off between two migrations has left nothing that one could lose. */
async function isEmpty(store: Store): Promise<boolean> {
  const [row] = await store.query<{ is_empty: number | boolean }>(readQuery('nothing-stored'))
  return Number(row?.is_empty) === 1
}

async function readBounds(store: Store): Promise<Kept['bounds']> {
  const [row] = await store.query(readQuery('consumed-ends'))
  return boundsSchema.parse(row)
}

async function readCounts(store: Store, bounds: Kept['bounds']): Promise<Kept['counts']> {
  const rows = await store.scan<{ what: string; number: string }>(readQuery('count-kept'), bounds)
  return Object.fromEntries(rows.map(({ what, number }) => [what, number]))
}

async function note(store: Store, id: string, checksum: string, backup: string | null, kept: Kept | null) {
  await store.insert(
    'migrations',
    ['id', 'checksum', 'applied_at', 'backup', 'kept'],
    [[id, checksum, Date.now(), backup ?? '', kept === null ? '' : JSON.stringify(kept)]],
    null,
  )
}

/** @throws MIGRATION_DISAGREES, naming what differs, both numbers and the way back. */
async function reconcile(store: Store, id: string, { bounds, counts }: Kept, backup: string | null): Promise<void> {
  const after = await readCounts(store, bounds)
  const differences = Object.entries(counts).flatMap(([what, before]) =>
    after[what] === before ? [] : [`${what}: ${before} before, ${after[what] ?? 'none'} after`],
  )
  if (differences.length === 0) return
  const way = backup === null ? 'No backup was made by it.' : `The store as it was before: ${backup}.`
  throw new PipelineError('MIGRATION_DISAGREES', `Migration ${id}: ${differences.join('; ')}. ${way}`)
}

async function backUp(backup: NonNullable<MigrateOptions['backup']>, id: string): Promise<string> {
  try {
    return await backup(`before-${id}`)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new PipelineError(
      isPipelineError(error) ? error.code : 'STORE_UNAVAILABLE',
      `Migration ${id} was not begun, since no backup of the store could be made: ${why}`,
      { cause: error },
    )
  }
}

/**
 * Brings the schema up to date, forward only. A store that holds anything is kept first and compared after each
 * migration; a new one gets everything. Safe to run again and after a crash half-way: every statement is idempotent, and
 * what is compared with is what was counted before the first of them. An older version refuses a store from that moment on.
 * Nobody else migrates it meanwhile.
 * @throws STORE_NEWER when the database holds a migration that we do not know; CONFLICT when one was changed;
 * MIGRATION_DISAGREES when a migration lost or doubled something, at each further call too; what `backup` throws.
 */
export async function migrate(store: Store, directory: string, options: MigrateOptions): Promise<Migrated> {
  const { pending, isNew, unfinished } = await findPending(store, directory)
  const [first] = pending
  if (!first) return { applied: [], backup: null, counts: null }
  let backup: string | null = null
  let kept: Kept | null = null
  if (unfinished?.kept) {
    kept = keptSchema.parse(JSON.parse(unfinished.kept))
    backup = unfinished.backup || null
  } else if (!isNew) {
    const bounds = await readBounds(store)
    kept = { bounds, counts: await readCounts(store, bounds) }
    backup = options.backup && (await backUp(options.backup, first.id))
  }
  await store.command(
    `ALTER TABLE migrations ADD COLUMN IF NOT EXISTS backup String, ADD COLUMN IF NOT EXISTS kept String`,
  )
  for (const { id, checksum, statements } of pending) {
    if (kept) await note(store, id, begun, backup, kept)
    for (const statement of statements) await store.command(statement)
    if (kept) await reconcile(store, id, kept, backup)
    await note(store, id, checksum, backup, kept)
  }
  return { applied: pending.map(({ id }) => id), backup, counts: kept?.counts ?? null }
}

/**
 * Brings a new store up to date, and leaves every other as it is: for services of which several start at once.
 * @throws STORE_OLDER, retryable, when a store that holds anything lacks a migration; else as `migrate`.
 */
export async function migrateNew(store: Store, directory: string): Promise<void> {
  const { pending, isNew, unfinished } = await findPending(store, directory)
  if (pending.length === 0) return
  if (!isNew || unfinished)
    throw new PipelineError(
      'STORE_OLDER',
      `It lacks ${pending.map(({ id }) => id).join(', ')}: run "footfall migrate". Events wait in the log.`,
    )
  await migrate(store, directory, { backup: null })
}
