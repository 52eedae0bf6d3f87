import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PipelineError } from '@footfall/contracts/errors'
import type { Store } from './open.ts'

interface Migration {
  readonly id: string
  readonly checksum: string
  readonly statements: readonly string[]
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

/**
 * Brings the schema up to date, forward only; safe to run again and after a crash half-way (every statement is
 * idempotent). Resolves to the ids applied now.
 * @throws STORE_NEWER when the database holds a migration that we do not know; CONFLICT when one was changed.
 */
export async function migrate(store: Store, directory: string): Promise<string[]> {
  const migrations = await readMigrations(directory)
  await store.command(
    `CREATE TABLE IF NOT EXISTS migrations (id String, checksum String, applied_at DateTime64(3, 'UTC'))
     ENGINE = ReplacingMergeTree ORDER BY id SETTINGS fsync_after_insert = 1, fsync_part_directory = 1`,
  )
  const applied = new Map(
    (await store.query<{ id: string; checksum: string }>('SELECT id, checksum FROM migrations FINAL')).map((row) => [
      row.id,
      row.checksum,
    ]),
  )
  const known = new Map(migrations.map((migration) => [migration.id, migration.checksum]))
  for (const [id, checksum] of applied) {
    const ours = known.get(id)
    if (ours === undefined) throw new PipelineError('STORE_NEWER', `It holds migration ${id}.`)
    if (ours !== checksum) throw new PipelineError('CONFLICT', `Migration ${id} was changed after it was applied.`)
  }
  const done: string[] = []
  for (const migration of migrations) {
    if (applied.has(migration.id)) continue
    for (const statement of migration.statements) await store.command(statement)
    await store.insert(
      'migrations',
      ['id', 'checksum', 'applied_at'],
      [[migration.id, migration.checksum, Date.now()]],
      null,
    )
    done.push(migration.id)
  }
  return done
}
