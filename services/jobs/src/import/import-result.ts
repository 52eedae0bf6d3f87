import { topics } from '@footfall/contracts/event'
import { endsOf, type EventLog } from '@footfall/event-log'
import type { Store } from '@footfall/store/open'
import { readQuery } from '@footfall/store/queries'
import * as z from 'zod'
import type { LineResult } from './line-records.ts'

export const importCountsSchema = z.object({
  lines: z.number(),
  /** Page views, those of bots among them. */
  events: z.number(),
  bots: z.number(),
  other: z.number(),
  unreadable: z.number(),
  /** Local days of the page views. */
  first_day: z.string().nullable(),
  last_day: z.string().nullable(),
})
export type ImportCounts = z.infer<typeof importCountsSchema>

export const noLines: ImportCounts = {
  lines: 0,
  events: 0,
  bots: 0,
  other: 0,
  unreadable: 0,
  first_day: null,
  last_day: null,
}

/** The counts with one line more. */
export function countLine(counts: ImportCounts, line: string, result: LineResult): ImportCounts {
  const lines = counts.lines + 1
  if (result.kind !== 'event') return { ...counts, lines, [result.kind]: counts[result.kind] + (line === '' ? 0 : 1) }
  const { bot, local_day: day } = result.record
  return {
    ...counts,
    lines,
    events: counts.events + 1,
    bots: counts.bots + (bot ? 1 : 0),
    first_day: counts.first_day === null || day < counts.first_day ? day : counts.first_day,
    last_day: counts.last_day === null || day > counts.last_day ? day : counts.last_day,
  }
}

/** What an import came to, once the store has its events. */
export interface ImportResult extends ImportCounts {
  /** Page views that are new; the others were there before. */
  readonly stored: number
  /** Days that had imported page views before and got more: their visitors are counted per run, each has its salts. */
  readonly days_imported_before: readonly string[]
  /** Days that beacons counted too: both are in the numbers. */
  readonly days_with_beacons: readonly string[]
}

export interface ImportResultParts {
  readonly log: EventLog
  readonly store: Store
  /** Resolves once every partition is consumed up to its offset. */
  readonly consumedTo: (ends: readonly number[], signal: AbortSignal) => Promise<void>
}

/** Waits for the store to have what was sent, and looks at the days it went to. @throws STORE_UNAVAILABLE */
export async function readImportResult(
  parts: ImportResultParts,
  run: { deployment: string; receivedAt: number; counts: ImportCounts; signal: AbortSignal },
): Promise<ImportResult> {
  const { first_day: from, last_day: to } = run.counts
  await parts.consumedTo(endsOf(await parts.log.partitions(topics.events)), run.signal)
  const days =
    from === null || to === null
      ? []
      : await parts.store.query<{ day: string; stored: string; earlier: string; beacons: string }>(
          readQuery('import-days'),
          { deployment: run.deployment, from, to, run: run.receivedAt },
        )
  const daysWhere = (is: (stored: number, earlier: number, beacons: number) => boolean): string[] =>
    days
      .filter(({ stored, earlier, beacons }) => is(Number(stored), Number(earlier), Number(beacons)))
      .map(({ day }) => day)
  return {
    ...run.counts,
    stored: days.reduce((sum, { stored }) => sum + Number(stored), 0),
    days_imported_before: daysWhere((stored, earlier) => stored > 0 && earlier > 0),
    days_with_beacons: daysWhere((stored, earlier, beacons) => stored + earlier > 0 && beacons > 0),
  }
}
