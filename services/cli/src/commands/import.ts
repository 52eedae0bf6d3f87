import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Config } from '@footfall/config/config'
import { PipelineError } from '@footfall/contracts/errors'
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
      const server = await needServer(config())
      if (file === '-') {
        console.log(summary(await sendLines(server, options.deployment, process.stdin)))
        return
      }
      const path = resolve(file)
      const found = await stat(path).catch(() => null)
      if (!found?.isFile()) throw new PipelineError('INVALID_REQUEST', `${path} is not a file that can be read.`)
      if (options.follow) {
        await followLog(server, options.deployment, path)
        return
      }
      // A run that was cut off goes on; one that is over is done again, and counts nothing twice.
      const counts = await runJob<ImportCounts>(server, 'import', { deployment: options.deployment, path })
      console.log(summary(counts))
    })
}

export interface ImportCounts {
  readonly lines: number
  readonly events: number
  readonly other: number
  readonly unreadable: number
}

const summary = ({ lines, events, other, unreadable }: ImportCounts): string =>
  `${lines} lines: ${events} page views, ${other} other requests, ${unreadable} that are no log lines. Lines imported before are not counted again.`
