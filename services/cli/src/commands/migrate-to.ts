import { resolve } from 'node:path'
import type { Config } from '@footfall/config/config'
import type { Command } from 'commander'

export function migrateToCommand(program: Command, config: () => Config): void {
  program
    .command('migrate-to')
    .description('take a standalone data directory over into the distributed installation that the environment names')
    .requiredOption('--from <directory>', 'DATA_DIR of the standalone server, which has to be stopped')
    .action(async ({ from }: { from: string }) => {
      const { moveStandalone } = await import('../move/move-standalone.ts')
      await moveStandalone({ from: resolve(from), config: config(), say: (line) => console.log(line) })
    })
}
