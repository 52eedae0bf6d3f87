import type { Config } from '@footfall/config/config'
import { PipelineError } from '@footfall/contracts/errors'
import type { Command } from 'commander'
import { needServer, runJob } from '../server.ts'

export function eraseCommand(program: Command, config: () => Config): void {
  program
    .command('erase')
    .description('erase a deployment, or a period of it, from log, store and sums; cannot be undone')
    .requiredOption('--deployment <id>', 'whose events')
    .option('--from <day>', 'first local day')
    .option('--to <day>', 'last local day')
    .option('--yes', 'do it')
    .action(async (options: { deployment: string; from?: string; to?: string; yes?: boolean }) => {
      if (!options.yes) throw new PipelineError('INVALID_REQUEST', 'Nothing was erased: say --yes to erase for good.')
      const { deployment, from, to } = options
      const server = await needServer(config())
      const counts = await runJob<{ events: number; failed: number }>(server, 'erase', {
        deployment,
        ...(from ? { from } : {}),
        ...(to ? { to } : {}),
      })
      console.log(`Erased ${counts.events} events and ${counts.failed} failed ones. Older backups still hold them.`)
    })
}
