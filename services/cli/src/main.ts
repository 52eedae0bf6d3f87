import { Command, CommanderError } from 'commander'
import { readConfig } from '@footfall/config/config'
import { backupCommand } from './commands/backup.ts'
import { demoCommand } from './commands/demo.ts'
import { doctorCommand } from './commands/doctor.ts'
import { eraseCommand } from './commands/erase.ts'
import { importCommand } from './commands/import.ts'
import { migrateToCommand } from './commands/migrate-to.ts'
import { migrateCommand } from './commands/migrate.ts'
import { registryCommand } from './commands/registry.ts'
import { replayCommand } from './commands/replay.ts'
import { restoreCommand } from './commands/restore.ts'
import { startCommand } from './commands/start.ts'
import { sayError } from './say-error.ts'

const program = new Command('footfall')
  .description('Knows how civic apps are used, and proves what works.')
  .exitOverride()
  .showHelpAfterError()
  .enablePositionalOptions()
const config = () => readConfig(process.env)
for (const add of [
  startCommand,
  demoCommand,
  migrateCommand,
  registryCommand,
  importCommand,
  eraseCommand,
  replayCommand,
  backupCommand,
  restoreCommand,
  migrateToCommand,
  doctorCommand,
]) {
  add(program, config)
}

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode
  else {
    console.error(sayError(error))
    process.exitCode = 1
  }
}
