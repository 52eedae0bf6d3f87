import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { superviseEmbeddedClickHouse, type EmbeddedClickHouse } from '@footfall/embedded-clickhouse/supervise'
import { readConfig } from '@footfall/config/config'
import { PipelineError } from '@footfall/contracts/errors'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrate, migrateNew } from '../src/migrate.ts'
import { openStore, type Store } from '../src/open.ts'
import { insertRecords, makeRecord, migrations } from './engine.ts'

const noon = Date.UTC(2026, 2, 10, 12)
let root: string
let engine: EmbeddedClickHouse
const stores: Store[] = []
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'footfall-migrate-'))
  engine = await superviseEmbeddedClickHouse({ directory: join(root, 'store') })
})
afterAll(async () => {
  for (const store of stores) await store.close()
  await engine.close()
  await rm(root, { recursive: true, force: true })
})

/** A database of its own, without a table. */
async function openNew(): Promise<Store> {
  const { url, user, password } = engine
  const store = openStore({ url, user, password, database: `migrate_${stores.length}` })
  stores.push(store)
  const outside = openStore({ url, user, password })
  await outside.command(`CREATE DATABASE migrate_${stores.length - 1}`)
  await outside.close()
  return store
}

/** The migrations of this version and some invented ones after them. */
let made = 0
async function withMore(files: Record<string, string>): Promise<string> {
  const directory = join(root, `migrations-${++made}`)
  await cp(migrations, directory, { recursive: true })
  for (const [name, sql] of Object.entries(files)) await writeFile(join(directory, `${name}.sql`), sql)
  return directory
}

/** A store of this version with a little of everything that a migration must not change. */
async function openFilled(): Promise<Store> {
  const store = await openNew()
  await migrate(store, migrations, { backup: null })
  await insertRecords(store, [makeRecord({ at: noon }), makeRecord({ at: noon }), makeRecord({ at: noon })])
  for (const statement of [
    `INSERT INTO ledger (log_id, \`end\`, deployment, read, stored, failed, deduplicated) VALUES ('test', 1000000, 'a', 5, 3, 1, 1)`,
    `INSERT INTO failed_events (deployment, local_day, received_at, reason, log_id, offset) VALUES ('a', '2026-03-10', now64(3), 'late', 'test', 7)`,
    `INSERT INTO event_ids (hex, deployment, local_day, received_at, log_id, offset) SELECT hex(id), deployment, local_day, received_at, log_id, offset FROM events`,
    `INSERT INTO removals (removal, kind, deployment, events, done) VALUES ('erased:1', 'erased', 'a', 2, true)`,
    `INSERT INTO day_marks (deployment, local_day, marks, folded, version, closed) VALUES ('a', '2024-03-09', 1, 1, 7, 1)`,
    `INSERT INTO fold_daily (deployment, local_day, version, events) VALUES ('a', '2024-03-09', 7, 9)`,
    `INSERT INTO fold_dimensions (deployment, local_day, version, dimension, value) VALUES ('a', '2024-03-09', 7, 'page', '/')`,
    `INSERT INTO fold_journeys (deployment, local_day, version, journey) VALUES ('a', '2024-03-09', 7, 'permit')`,
  ])
    await store.command(statement)
  return store
}

const count = async (store: Store, table: string): Promise<number> =>
  Number((await store.query<{ n: string }>(`SELECT count() AS n FROM ${table}`))[0]!.n)

/** Notes what it is asked to keep, and how much the store held then. */
function noting(store: Store) {
  const asked: { name: string; events: number }[] = []
  return {
    asked,
    backup: async (name: string) => {
      asked.push({ name, events: await count(store, 'events') })
      return `the file ${name}`
    },
  }
}

/** A store that fails at a command for once. */
const cutOffAt = (store: Store, words: string): Store => {
  let isCut = false
  return {
    ...store,
    async command(sql, ...rest) {
      if (!isCut && sql.includes(words)) {
        isCut = true
        throw new PipelineError('STORE_UNAVAILABLE', 'cut off')
      }
      return store.command(sql, ...rest)
    },
  }
}

const addColumn = { '9003-colour': 'ALTER TABLE events ADD COLUMN IF NOT EXISTS colour String;' }

test('a new store gets every migration, and there is nothing to back up', async () => {
  const store = await openNew()
  const { asked, backup } = noting(store)
  expect(await migrate(store, migrations, { backup })).toMatchObject({ backup: null, counts: null })
  expect(asked).toEqual([])
  expect(await migrate(store, migrations, { backup })).toMatchObject({ applied: [] })
  expect(await count(store, 'events')).toBe(0)
})

test('tokens of inserts are remembered for two hours with as many partitions and flushes as there are by default', async () => {
  const store = await openNew()
  await migrate(store, migrations, { backup: null })
  const { KAFKA_PARTITIONS: partitions, flushIntervalMs } = readConfig({ EVENT_LOG_URL: 'kafka://broker:9092' })
  const inserts = (partitions * 2 * 3_600 * 1_000) / flushIntervalMs
  const tables = await store.query<{ name: string; remembered: string }>(
    `SELECT name, extract(engine_full, 'deduplication_window = (\\d+)') AS remembered FROM system.tables
     WHERE database = currentDatabase() AND name IN ('events', 'failed_events')`,
  )
  expect(tables).toHaveLength(2)
  for (const { remembered } of tables) expect(Number(remembered)).toBeGreaterThanOrEqual(inserts)
})

test('a store that holds something is backed up once before the first statement, and holds as much after the last', async () => {
  const store = await openFilled()
  const { asked, backup } = noting(store)
  const directory = await withMore({
    ...addColumn,
    '9004-shape': 'ALTER TABLE events ADD COLUMN IF NOT EXISTS shape String;',
  })
  expect(await migrate(store, directory, { backup })).toEqual({
    applied: ['9003-colour', '9004-shape'],
    backup: 'the file before-9003-colour',
    counts: {
      events: '3',
      'failed events': '1',
      ids: '3',
      read: '5',
      stored: '3',
      failed: '1',
      deduplicated: '1',
      'expired and erased': '2',
      'closed days': '1',
      'folds of closed days': '1',
      'values of closed days': '1',
      'journeys of closed days': '1',
    },
  })
  expect(asked).toEqual([{ name: 'before-9003-colour', events: 3 }])
  expect(await migrate(store, directory, { backup })).toMatchObject({ applied: [] })
})

test('a migration that loses or doubles something is refused, with every number before and after and the backup', async () => {
  const store = await openFilled()
  const { asked, backup } = noting(store)
  const tables = ['failed_events', 'event_ids', 'ledger', 'removals', 'fold_daily', 'fold_dimensions', 'fold_journeys']
  const directory = await withMore({
    '9003-wrong': [
      'INSERT INTO events SELECT * FROM events',
      ...tables.map((table) => `ALTER TABLE ${table} DELETE WHERE true`),
    ]
      .map((statement) => `${statement};\n`)
      .join(''),
  })
  const refusal = (await migrate(store, directory, { backup }).catch((error: unknown) => error)) as PipelineError
  expect(refusal).toMatchObject({ code: 'MIGRATION_DISAGREES', retryable: false })
  expect(refusal.message.replace(/^.*Migration 9003-wrong: /, '').split(/; |\. /)).toEqual([
    'deduplicated: 1 before, 0 after',
    'events: 3 before, 6 after',
    'expired and erased: 2 before, 0 after',
    'failed: 1 before, 0 after',
    'failed events: 1 before, 0 after',
    'folds of closed days: 1 before, 0 after',
    'ids: 3 before, 0 after',
    'journeys of closed days: 1 before, 0 after',
    'read: 5 before, 0 after',
    'stored: 3 before, 0 after',
    'values of closed days: 1 before, 0 after',
    'The store as it was before: the file before-9003-wrong.',
  ])
  // Nobody goes on with it, and a further try compares with the same numbers and keeps the same backup.
  await expect(migrate(store, directory, { backup })).rejects.toMatchObject({ code: 'MIGRATION_DISAGREES' })
  await expect(migrateNew(store, directory)).rejects.toMatchObject({ code: 'STORE_OLDER' })
  await expect(migrateNew(store, migrations)).rejects.toMatchObject({ code: 'STORE_NEWER' })
  expect(asked).toHaveLength(1)
})

test('a migration that was cut off half-way is finished by the next try, and the backup of before is kept', async () => {
  const store = await openFilled()
  const { asked, backup } = noting(store)
  const directory = await withMore({
    '9003-two': `${addColumn['9003-colour']}\nALTER TABLE events ADD COLUMN IF NOT EXISTS shape String;`,
  })
  await expect(migrate(cutOffAt(store, 'shape'), directory, { backup })).rejects.toMatchObject({ retryable: true })
  await expect(migrate(store, migrations, { backup })).rejects.toMatchObject({ code: 'STORE_NEWER' })
  expect(await migrate(store, directory, { backup })).toMatchObject({
    applied: ['9003-two'],
    backup: 'the file before-9003-two',
    counts: { events: '3' },
  })
  expect(asked).toHaveLength(1)
})

test('what a migration lost before it was cut off is found by the next try', async () => {
  const store = await openFilled()
  const { backup } = noting(store)
  const directory = await withMore({
    '9003-wrong': `ALTER TABLE events DELETE WHERE true;\n${addColumn['9003-colour']}`,
  })
  await expect(migrate(cutOffAt(store, 'colour'), directory, { backup })).rejects.toMatchObject({ retryable: true })
  await expect(migrate(store, directory, { backup })).rejects.toThrow(/events: 3 before, 0 after/)
})

test('without its backup no migration begins, and the older version can go on', async () => {
  const store = await openFilled()
  const backup = () => Promise.reject(new Error('the disk is full'))
  const directory = await withMore(addColumn)
  await expect(migrate(store, directory, { backup })).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: expect.stringMatching(/9003-colour was not begun.*the disk is full/) as string,
  })
  expect(await migrate(store, migrations, { backup })).toMatchObject({ applied: [] })
})

test('events that a consumer stores meanwhile are no difference', async () => {
  const store = await openFilled()
  const directory = await withMore(addColumn)
  const consuming: Store = {
    ...store,
    async command(sql, ...rest) {
      if (sql.includes('colour')) {
        await store.command(
          `INSERT INTO events (deployment, id, received_at, log_id, partition, offset) VALUES ('a', generateUUIDv4(), now64(3), 'test', 0, 1000000), ('a', generateUUIDv4(), now64(3), 'test', 4, 0)`,
        )
        await store.command(
          `INSERT INTO ledger (log_id, base, \`end\`, deployment, read, stored) VALUES ('test', 1000000, 1000001, 'a', 1, 1)`,
        )
      }
      return store.command(sql, ...rest)
    },
  }
  expect(await migrate(consuming, directory, { backup: null })).toMatchObject({ counts: { events: '3', read: '5' } })
  expect(await count(store, 'events')).toBe(5)
})

describe('services that start together', () => {
  test('make a new store, one that was cut off between two migrations included', async () => {
    const store = await openNew()
    await expect(migrateNew(cutOffAt(store, 'fold_daily'), migrations)).rejects.toMatchObject({ retryable: true })
    await Promise.all([migrateNew(store, migrations), migrateNew(store, migrations)])
    expect(await count(store, 'fold_daily')).toBe(0)
  })

  test('wait for "footfall migrate" on a store of an older version', async () => {
    const store = await openFilled()
    const directory = await withMore(addColumn)
    await expect(migrateNew(store, directory)).rejects.toMatchObject({
      code: 'STORE_OLDER',
      retryable: true,
      message: expect.stringContaining('run "footfall migrate"') as string,
    })
    await migrate(store, directory, { backup: null })
    await migrateNew(store, directory)
  })
})
