import { stringify } from 'csv-stringify/sync'

export type Cell = string | number | boolean | null | undefined

/**
 * Spreadsheets run text that begins like this, also in its full-width form, as a formula (OWASP, CSV injection): an
 * apostrophe makes it text.
 */
const formulaStart = /^[=+\-@＝＋－＠\t\r]/

const guard = (cell: Cell): Cell => (typeof cell === 'string' && formulaStart.test(cell) ? `'${cell}` : cell)

/** RFC 4180 text: one header row, one row a record, nothing else. A number stays a number, also below zero. */
export function printCsv(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return stringify([columns, ...rows.map((row) => row.map(guard))], {
    record_delimiter: '\r\n',
    // A lone carriage return ends a row for many readers.
    quoted_match: /\r/,
    cast: { boolean: (value) => (value ? 'true' : 'false') },
  })
}
