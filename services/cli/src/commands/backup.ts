import { cp, rm } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Config } from '@footfall/config/config'
import { PipelineError } from '@footfall/contracts/errors'
import type { Command } from 'commander'
import { needServer, runJob } from '../server.ts'

export function backupCommand(program: Command, config: () => Config): void {
  program
    .command('backup')
    .description('write a whole backup of the running server; events are taken meanwhile')
    .option('--to <directory>', 'where it goes; default: DATA_DIR/backups/<name>')
    .action(async (options: { to?: string }) => {
      const target = options.to === undefined ? null : resolve(options.to)
      if (target !== null && existsSync(target)) throw new PipelineError('CONFLICT', `${target} is there already.`)
      const server = await needServer(config())
      const name = new Date().toISOString().replace(/[:.]/g, '-')
      const result = await runJob<{ directory: string; files: number; bytes: number }>(server, 'backup', { name })
      if (target !== null) {
        await cp(result.directory, target, { recursive: true })
        await rm(result.directory, { recursive: true })
      }
      console.log(
        `${result.files} files, ${(result.bytes / 1e6).toFixed(1)} MB in ${target ?? result.directory}. Salts and tokens are in no backup.`,
      )
    })
}
