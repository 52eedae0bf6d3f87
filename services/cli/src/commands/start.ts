import type { Config } from '@footfall/config/config'
import { startStandalone, type Standalone } from '@footfall/standalone/start'
import type { Command } from 'commander'

/** Runs until a signal or a failure ends it; the exit code tells which. */
export async function runUntilStopped(running: Standalone): Promise<void> {
  let stop: (code: number) => void = () => undefined
  const stopped = new Promise<number>((resolve) => (stop = resolve))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop(0))
  void running.failed.then((error) => {
    console.error(error.message)
    stop(1)
  })
  const code = await stopped
  console.log('Stopping: events under way are finished first.')
  await running.close()
  process.exit(code)
}

export function startCommand(program: Command, config: () => Config): void {
  program
    .command('start')
    .description('run everything in this process, with embedded ClickHouse beside it')
    .action(async () => {
      const read = config()
      const running = await startStandalone(read)
      console.log(`Footfall runs.

  Console   ${running.publicUrl}
  Data      ${running.dataDirectory}
  Sign in   ${running.signInLink()}
            (opens your first board; works once, within 15 minutes. Later: sign in with the token in ${read.adminTokenFile})

Stop with Ctrl-C.`)
      await runUntilStopped(running)
    })
}
