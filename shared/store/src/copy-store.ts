import type { Store } from './open.ts'
import { readQuery } from './queries.ts'

/** What a table holds, however it is laid out. */
export interface TableSum {
  readonly rows: number
  /** Sum of a 64-bit hash of each row: equal for equal rows in any order. */
  readonly checksum: string
}

interface Table {
  readonly name: string
  /** Those that are stored; others are computed from them. */
  readonly columns: string
  /** The table as its engine would have it once everything is merged: repeats count once, sums are added up. */
  readonly merged: string
}

/** Rows that the engine may drop at any moment, since their time is over, are copied and not compared. */
const stayingRows: Readonly<Record<string, string>> = { refusals: 'minute > now() - INTERVAL 24 MONTH' }

/** The tables that hold what was counted, by name; not the notes of the store on itself. */
async function listTables(store: Store): Promise<Table[]> {
  const rows = await store.query<{ name: string; engine: string; columns: string[] }>(readQuery('tables'))
  return rows.map(({ name, engine, columns }) => ({
    name,
    columns: columns.map((column) => `\`${column}\``).join(', '),
    merged: engine === 'MergeTree' ? name : `${name} FINAL`,
  }))
}

/** What each table holds. */
export async function sumTables(store: Store): Promise<Map<string, TableSum>> {
  const sums = new Map<string, TableSum>()
  for (const { name, columns, merged } of await listTables(store)) {
    const [sum] = await store.scan<{ rows: string; checksum: string }>(
      `SELECT count() AS rows, toString(sum(cityHash64(formatRow('RowBinary', ${columns})))) AS checksum FROM ${merged} WHERE ${stayingRows[name] ?? 'true'}`,
    )
    sums.set(name, { rows: Number(sum!.rows), checksum: sum!.checksum })
  }
  return sums
}

/** Removes every row of every table: of a copy that was cut off, never of anything else. */
export async function emptyTables(store: Store): Promise<void> {
  for (const { name } of await listTables(store)) await store.command(`ALTER TABLE ${name} DROP PARTITION ALL`)
}

/**
 * Copies every row of every table into the empty tables of a store with the same migrations, one partition after the
 * other. A copy that was cut off has to begin with empty tables again.
 * @throws STORE_UNAVAILABLE, STORE_REFUSED
 */
export async function copyTables(source: Store, target: Store, onTable: (name: string) => void): Promise<void> {
  for (const { name, columns, merged } of await listTables(source)) {
    onTable(name)
    const partitions = await source.query<{ id: string }>(
      `SELECT DISTINCT _partition_id AS id FROM ${name} ORDER BY id`,
    )
    for (const { id } of partitions) {
      const rows = `SELECT ${columns} FROM ${merged} WHERE _partition_id = {id:String}`
      await target.take(name, columns, await source.give(rows, { id }))
    }
  }
}
