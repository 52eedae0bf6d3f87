import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { superviseEmbeddedClickHouse, type EmbeddedClickHouse } from '@footfall/embedded-clickhouse/supervise'
import { findRoot } from '@footfall/config/root'
import type { EventRecord } from '@footfall/contracts/event'
import { blankRecord } from '@footfall/enrichment/blank-record'
import { migrate } from '../src/migrate.ts'
import { openStore, type Store } from '../src/open.ts'
import { eventColumns, toEventRow } from '../src/rows.ts'
import { touchedDays } from '../src/touched-days.ts'

export const migrations = join(findRoot(), 'shared/store/migrations')

export interface TestEngine {
  readonly engine: EmbeddedClickHouse
  readonly store: Store
  /** Where it may write backups. */
  readonly backups: string
  close(): Promise<void>
}

/** The real engine with our schema, in a directory of its own. */
export async function startTestEngine(): Promise<TestEngine> {
  const directory = await mkdtemp(join(tmpdir(), 'footfall-store-'))
  const backups = join(directory, 'backups')
  const engine = await superviseEmbeddedClickHouse({ directory, backupsDirectory: backups })
  const store = openStore({ url: engine.url, user: engine.user, password: engine.password })
  await migrate(store, migrations, { backup: null })
  return {
    engine,
    store,
    backups,
    async close() {
      await store.close()
      await engine.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

let made = 0

/** A record with everything that a test does not care about. */
export function makeRecord(fields: Partial<EventRecord> & { at: number }): EventRecord {
  made++
  return {
    ...blankRecord,
    id: `0190aaaa-bbbb-7ccc-8ddd-${made.toString(16).padStart(12, '0')}`,
    deployment: 'a',
    source: 'beacon',
    received_at: fields.at,
    local_day: new Date(fields.at).toISOString().slice(0, 10),
    local_hour: new Date(fields.at).getUTCHours(),
    name: 'page_view',
    path: '/',
    visitor: '1',
    ...fields,
  }
}

/** Puts records into the store as the consumer would, with the marks of their days. */
export async function insertRecords(store: Store, records: readonly EventRecord[], logId = 'test'): Promise<void> {
  await store.insert(
    'events',
    eventColumns,
    records.map((record, index) => toEventRow(record, { logId, partition: 0, offset: made * 1_000 + index })),
    null,
  )
  const days = touchedDays(records).map((day) => [...day, 1])
  await store.insert('day_marks', ['deployment', 'local_day', 'marks'], days, null)
}
