import type { Config } from '@footfall/config/config'
import type { Command } from 'commander'
import { needServer, runJob } from '../server.ts'

export function replayCommand(program: Command, config: () => Config): void {
  program
    .command('replay')
    .description('try failed events again: late ones that are wanted after all, or those a fixed fault had refused')
    .option('--deployment <id>', 'only of this deployment')
    .option('--reason <reason>', 'only late, refused_by_store or invalid_record')
    .action(async (options: { deployment?: string; reason?: string }) => {
      const server = await needServer(config())
      const result = await runJob<{ replayed: number; refused: number; unreadable: number }>(server, 'replay', options)
      console.log(
        `${result.replayed} replayed; ${result.refused} are refused by the store and ${result.unreadable} cannot be read as events: they stay.`,
      )
    })
}
