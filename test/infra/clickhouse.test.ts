import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { boards } from '@footfall/dashboards/boards'
import { deploymentsSql, freshnessSql, panelSql } from '@footfall/dashboards/grafana/sql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asGrafana } from '../../dashboards/test/grafana/as-grafana.ts'
import { infra, openConfiguredEngine, roles, type ConfiguredEngine, type Role, type Row } from './configured-engine.ts'

const migrations = join(findRoot(), 'shared/store/migrations')
let engine: ConfiguredEngine

const statementsOf = (sql: string): string[] =>
  sql.split(/;\s*$/m).filter((statement) => statement.replace(/--.*$/gm, '').trim() !== '')

/** Runs a statement with the rights of a role of ours, and nothing else. */
async function as(role: Role, sql: string): Promise<Row[]> {
  await engine.query(`SET ROLE ${role}`)
  return engine.query(sql)
}
const applyViews = async (): Promise<void> => {
  for (const statement of statementsOf(readFileSync(join(infra, 'views.sql'), 'utf8')))
    await as('footfall_writer', statement)
}

beforeAll(async () => {
  engine = openConfiguredEngine()
  await as('footfall_writer', 'CREATE DATABASE IF NOT EXISTS footfall ENGINE = Atomic')
  await engine.query('USE footfall')
  for (const file of readdirSync(migrations).sort())
    for (const statement of statementsOf(readFileSync(join(migrations, file), 'utf8')))
      await as('footfall_writer', statement)
  await as('footfall_writer', 'CREATE TABLE migrations (id String) ENGINE = ReplacingMergeTree ORDER BY id')
  await applyViews()
  await as(
    'footfall_writer',
    `INSERT INTO events (deployment, local_day, visitor, at, received_at, id, name, path)
     SELECT 'a', '2026-03-03', number, '2026-03-03 12:00:00', '2026-03-03 12:00:00', generateUUIDv4(), 'page_view', '/secret' FROM numbers(5)`,
  )
  await as('footfall_writer', `INSERT INTO day_marks (deployment, local_day, marks) VALUES ('a', '2026-03-03', 1)`)
})
afterAll(() => engine.close())

const chosen = { deployment: ['a'], from: '2026-03-01', to: '2026-03-07' }
const drawn = boards.flatMap((board) =>
  board.sections.flatMap(({ panels }) =>
    panels.map((panel) => [`${board.title}: ${panel.title}`, panelSql(panel, board.scope)] as const),
  ),
)

describe('the user of the boards', () => {
  test('may ask for every panel, which sees the events of open days', async () => {
    for (const [name, sql] of [...drawn, ['Deployments', deploymentsSql] as const, ['Data to', freshnessSql] as const])
      await expect(as('footfall_boards', asGrafana(sql, chosen)), name).resolves.toBeDefined()
    const views = drawn.find(([name]) => name === 'Programme overview: Page views')![1]
    expect(await as('footfall_boards', asGrafana(views, chosen))).toMatchObject([{ 'Page views': 5 }])
  })

  test.each([
    'SELECT * FROM events',
    'SELECT visitor FROM events',
    'SELECT path FROM events',
    'SELECT id FROM events',
    'SELECT * FROM failed_events',
    'SELECT record FROM failed_events',
    'SELECT * FROM event_ids',
    'SELECT bounds FROM removals',
    "SELECT visitor FROM raw_sessions(deployments = ['a'], from = '2026-03-01', to = '2026-03-07', all_days = 1)",
    "SELECT * FROM raw_values(deployments = ['a'], from = '2026-03-01', to = '2026-03-07', all_days = 1)",
    "SELECT count() FROM merge('footfall', 'events') WHERE path != ''",
    "SELECT * FROM url('http://127.0.0.1:9/', 'TSV', 'a String')",
    "SELECT * FROM file('x.csv', 'CSV', 'a String')",
    "SELECT * FROM remote('127.0.0.1:9', 'footfall.events')",
    "INSERT INTO day_marks (deployment, local_day, marks) VALUES ('a', '2026-03-03', 1)",
    'ALTER TABLE events DELETE WHERE true',
    'DROP VIEW counts',
    'CREATE VIEW mine AS SELECT * FROM events',
    'CREATE TEMPORARY TABLE mine (a UInt8)',
    'ALTER TABLE counts MODIFY SQL SECURITY NONE',
    'BACKUP TABLE footfall.events TO Null',
    'SYSTEM FLUSH LOGS',
  ])('may not: %s', async (sql) => {
    await expect(as('footfall_boards', sql)).rejects.toThrow(/ACCESS_DENIED/)
  })
})

describe('the user of the console', () => {
  test('may read all that is ours', async () => {
    expect(await as('footfall_console', 'SELECT path FROM events LIMIT 1')).toEqual([{ path: '/secret' }])
    for (const [name, sql] of drawn)
      await expect(as('footfall_console', asGrafana(sql, chosen)), name).resolves.toBeDefined()
  })

  test.each([
    "INSERT INTO day_marks (deployment, local_day, marks) VALUES ('a', '2026-03-03', 1)",
    'ALTER TABLE events DELETE WHERE true',
    'TRUNCATE TABLE events',
    'DROP TABLE events',
    "SELECT * FROM url('http://127.0.0.1:9/', 'TSV', 'a String')",
    "SELECT * FROM file('x.csv', 'CSV', 'a String')",
  ])('may not: %s', async (sql) => {
    await expect(as('footfall_console', sql)).rejects.toThrow(/ACCESS_DENIED/)
  })
})

describe('the user of consumer and jobs', () => {
  test.each([
    'SELECT count() FROM system.parts',
    'OPTIMIZE TABLE day_marks',
    "ALTER TABLE failed_events UPDATE replayed_at = now64(3) WHERE reason = 'none'",
    "ALTER TABLE events DELETE WHERE deployment = 'nobody'",
    "DELETE FROM fold_daily WHERE deployment = 'nobody'",
    "ALTER TABLE event_ids DROP PARTITION '2026-03-03'",
    `INSERT INTO fold_daily (deployment, local_day, version, events) SELECT deployment, local_day, 1, events FROM raw_daily(deployments = ['a'], from = '2026-03-03', to = '2026-03-03', all_days = 1)`,
    "SELECT * FROM raw_sessions(deployments = ['a'], from = '2026-03-01', to = '2026-03-07', all_days = 1)",
    "BACKUP DATABASE footfall TO File('before-0003.tar.zst')",
    'ALTER TABLE migrations ADD COLUMN IF NOT EXISTS backup String',
    readFileSync(join(findRoot(), 'shared/store/queries/tables.sql'), 'utf8'),
    'SELECT DISTINCT _partition_id AS id FROM events',
    'ALTER TABLE refusals DROP PARTITION ALL',
    "INSERT INTO moves (log_id, started_at, finished_at) VALUES ('a', now64(3), NULL)",
  ])('may: %s', async (sql) => {
    await expect(as('footfall_writer', sql)).resolves.toBeDefined()
  })

  test.each([
    'DROP TABLE events',
    'TRUNCATE TABLE events',
    "SELECT * FROM url('http://127.0.0.1:9/', 'TSV', 'a String')",
    "INSERT INTO FUNCTION file('x.csv', 'CSV', 'a String') VALUES ('x')",
    'CREATE USER intruder',
    'GRANT SELECT ON footfall.events TO footfall_boards',
  ])('may not: %s', async (sql) => {
    await expect(as('footfall_writer', sql)).rejects.toThrow(/ACCESS_DENIED/)
  })
})

describe('the file of users', () => {
  const seen = async (sql: string): Promise<Row[]> => {
    await engine.query('SET ROLE see_users')
    return engine.query(sql)
  }

  test('is read by the engine: nobody signs in as the definer of the views', async () => {
    expect(await seen("SELECT name, host_ip, host_names FROM system.users WHERE name = 'footfall_views'")).toEqual([
      { name: 'footfall_views', host_ip: [], host_names: [] },
    ])
  })

  test('holds no password: each comes from the environment', () => {
    const xml = readFileSync(join(infra, 'users.d/footfall.xml'), 'utf8')
    expect([...xml.matchAll(/from_env="(\w+)"/g)].map(([, name]) => name)).toEqual(
      roles.map((role) => `${role.toUpperCase()}_SHA256`),
    )
    expect(xml).not.toMatch(/<password>|<no_password/)
  })

  test('lets a query of the boards change nothing but its own time, and counts what they ask', async () => {
    const xml = readFileSync(join(infra, 'users.d/footfall.xml'), 'utf8')
    // The one line that this engine cannot read.
    expect(xml.match(/<changeable_in_readonly\/>/g)).toHaveLength(1)
    expect(xml).toMatch(
      /<max_execution_time>\s*<!--.*-->\s*<min>1<\/min>\s*<max>60<\/max>\s*<changeable_in_readonly\/>/,
    )
    expect(await seen("SELECT max_queries FROM system.quota_limits WHERE quota_name = 'footfall_boards'")).toEqual([
      { max_queries: expect.toSatisfy((most) => Number(most) === 3000) as unknown },
    ])
  })
})

test('a migration that replaces a view takes it from the boards, until views.sql is run again', async () => {
  const sql = asGrafana(drawn.find(([name]) => name === 'Programme overview: Page views')![1], chosen)
  const [replace] = statementsOf(readFileSync(join(migrations, '0002-folds.sql'), 'utf8')).filter((statement) =>
    statement.includes('VIEW counts AS'),
  )
  await as('footfall_writer', replace!)
  await expect(as('footfall_boards', sql)).rejects.toThrow(/ACCESS_DENIED/)
  await applyViews()
  expect(await as('footfall_boards', sql)).toMatchObject([{ 'Page views': 5 }])
})

describe('the files of the server', () => {
  const ttls = [
    ...readFileSync(join(infra, 'config.d/footfall.xml'), 'utf8').matchAll(/<(\w+_log)>[^]*?<ttl>(.+?)<\/ttl>/g),
  ]

  test('give every system log an end, in words that the engine reads', async () => {
    expect(ttls.length).toBeGreaterThan(15)
    for (const [, name, ttl] of ttls)
      await expect(
        engine.query(
          `EXPLAIN AST CREATE TABLE ${name} (event_date Date) ENGINE = MergeTree ORDER BY event_date TTL ${ttl}`,
        ),
        name,
      ).resolves.toBeDefined()
  })

  test('allow what users.d/footfall.xml rests on', () => {
    expect(readFileSync(join(infra, 'config.d/footfall.xml'), 'utf8')).toContain(
      '<settings_constraints_replace_previous>true</settings_constraints_replace_previous>',
    )
  })

  test('for a small server are read by the engine, and leave the pool enough free places for what needs them', async () => {
    const read = (table: string): Promise<Row[]> =>
      as('footfall_console', `SELECT name, toFloat64OrZero(value) AS value FROM system.${table} WHERE changed`)
    const settings = new Map(
      [...(await read('server_settings')), ...(await read('merge_tree_settings'))].map(({ name, value }) => [
        name,
        value,
      ]),
    )
    expect(settings.get('mark_cache_size')).toBe(67_108_864)
    expect(settings.get('max_server_memory_usage_to_ram_ratio')).toBe(0.6)
    const places =
      Number(settings.get('background_pool_size')) *
      Number(settings.get('background_merges_mutations_concurrency_ratio'))
    for (const name of ['lower_max_size_of_merge', 'execute_mutation', 'execute_optimize_entire_partition'])
      expect(settings.get(`number_of_free_entries_in_pool_to_${name}`)).toBeLessThanOrEqual(places)
  })

  test('for a small server leave out only logs that there are', () => {
    const logs = ttls.map(([, name]) => name)
    const removed = [...readFileSync(join(infra, 'low-memory.xml'), 'utf8').matchAll(/<(\w+) remove="1"\/>/g)]
    expect(removed.length).toBeGreaterThan(5)
    for (const [, name] of removed) expect(logs).toContain(name)
  })
})
