import type { Config } from '@footfall/config/config'
import { migrate, migrationsDirectory, type Migrated } from '@footfall/store/migrate'
import type { Store } from '@footfall/store/open'
import type { Command } from 'commander'
import { connectStore } from '../services/servers.ts'

/**
 * Writes the store's database into the directory that its server allows for backups; resolves to the name there. With the
 * time: nobody but the server can tell whether a file of an earlier try is whole.
 */
async function backUpOnServer(store: Store, config: Config, name: string): Promise<string> {
  const database = new URL(config.storeUrl).pathname.replace(/^\//, '') || 'footfall'
  const file = `${name}-${new Date().toISOString().replace(/[:.]/g, '-')}.tar.zst`
  await store.command(`BACKUP DATABASE \`${database}\` TO File('${file}')`)
  return `${file} in the directory of backups of the ClickHouse server`
}

function report({ applied, backup, counts }: Migrated): string {
  if (applied.length === 0) return 'The schema is up to date: nothing was done.'
  const lines = [`Applied: ${applied.join(', ')}.`]
  if (counts === null) lines.push('The store was empty: there was nothing to back up or to compare.')
  else {
    lines.push(backup === null ? 'No backup was made.' : `The store as it was before: ${backup}.`)
    lines.push('Before and after alike:', ...Object.entries(counts).map(([what, number]) => `  ${what}: ${number}`))
  }
  return lines.join('\n')
}

export function migrateCommand(program: Command, config: () => Config): void {
  program
    .command('migrate')
    .description(
      'bring the store of a distributed installation up to date: back it up, migrate, compare; standalone does so at its start',
    )
    .option('--without-backup', 'the ClickHouse server has backups of its own')
    .action(async (options: { withoutBackup?: boolean }) => {
      const read = config()
      const store = connectStore(read)
      try {
        const migrated = await migrate(store, migrationsDirectory(), {
          backup: options.withoutBackup === true ? null : (name) => backUpOnServer(store, read, name),
        })
        console.log(report(migrated))
      } finally {
        await store.close()
      }
    })
}
