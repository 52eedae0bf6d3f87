import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Config } from '@footfall/config/config'
import { PipelineError } from '@footfall/contracts/errors'
import { shiftDay } from '@footfall/enrichment/local-time'
import type { ImportResult } from '@footfall/jobs/import/import-result'
import type { Command } from 'commander'
import { followLog, sendLines } from '../follow-log.ts'
import { needServer, runJob } from '../server.ts'

export function importCommand(program: Command, config: () => Config): void {
  program
    .command('import')
    .description('bring in what was counted elsewhere')
    .command('access-log')
    .description(
      'page views from an Apache or nginx log in combined format; a line counts once however often it is imported',
    )
    .argument('<file>', 'the log, plain or gzip; - reads standard input')
    .requiredOption('--deployment <id>', 'the deployment whose pages these are')
    .option('--follow', 'go on with lines as they are written')
    .action(async (file: string, options: { deployment: string; follow?: boolean }) => {
      const { deployment } = options
      const server = await needServer(config())
      const show = (result: ImportResult & { held_back?: boolean }): void =>
        console.log(summarise(result, deployment, server.publicUrl))
      if (file === '-') return show(await sendLines(server, deployment, process.stdin))
      const path = resolve(file)
      const found = await stat(path).catch(() => null)
      if (!found?.isFile()) throw new PipelineError('INVALID_REQUEST', `${path} is not a file that can be read.`)
      if (options.follow) return followLog(server, deployment, path, show)
      // A run that was cut off goes on; one that is over is done again, and counts nothing twice.
      show(await runJob<ImportResult & { held_back: boolean }>(server, 'import', { deployment, path }))
    })
}

const count = new Intl.NumberFormat('en-GB')
/** The longest period that a board shows. */
const mostBoardDays = 1_096
const mostRanges = 5

/** Days in words, those that follow each other as one range. */
function listDays(days: readonly string[]): string {
  const ranges: { first: string; last: string }[] = []
  for (const day of days) {
    const range = ranges.at(-1)
    if (range && shiftDay(range.last, 1) === day) range.last = day
    else ranges.push({ first: day, last: day })
  }
  const shown = ranges.slice(0, mostRanges).map(({ first, last }) => (first === last ? first : `${first} to ${last}`))
  const more = ranges.length - shown.length
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '')
}

/** What an import came to, in the order a reader asks: how much, of when, what is new, what to mind, where to look. */
export function summarise(
  result: ImportResult & { held_back?: boolean },
  deployment: string,
  publicUrl: string,
): string {
  const { lines, events, bots, stored, other, unreadable, first_day: first, last_day: last } = result
  const text = [
    `${count.format(lines)} lines: ${count.format(events)} page views, ${count.format(other)} other requests, ${count.format(unreadable)} that are no log lines.`,
  ]
  if (result.held_back)
    text.push('The last line has no end yet: it was left out, and counts when the log is imported again.')
  if (first === null || last === null) return text.join('\n')
  text.push(
    `Days ${first} to ${last} (local): ${count.format(events - bots)} views of people, ${count.format(bots)} of bots.`,
    `Newly stored: ${count.format(stored)}; already there: ${count.format(events - stored)}.`,
  )
  if (result.days_imported_before.length > 0)
    text.push(
      `Imported in parts: ${listDays(result.days_imported_before)}. Visitors of these days are counted per run; views are exact. Import a day whole, once it is over.`,
    )
  if (result.days_with_beacons.length > 0)
    text.push(
      `Also counted by beacons: ${listDays(result.days_with_beacons)}. Both are in the numbers of these days, so what both saw is counted twice.`,
    )
  const from = shiftDay(last, 1 - mostBoardDays) > first ? shiftDay(last, 1 - mostBoardDays) : first
  text.push(`\n${publicUrl}/deployments/${encodeURIComponent(deployment)}?from=${from}&to=${last}`)
  return text.join('\n')
}
