import type { Config } from '@footfall/config/config'
import { startStandalone, type Standalone } from '@footfall/standalone/start'
import type { Command } from 'commander'

/** As long as process managers give before they kill. */
const closeLimitMs = 10_000
/** npm passes a terminal's interrupt on to a process that has had it already: one Ctrl-C comes as two. */
const sameInterruptMs = 500

/** Runs until a signal or a failure ends it; the exit code tells which. A second signal ends it at once. */
export async function runUntilStopped(running: Pick<Standalone, 'failed' | 'close'>): Promise<void> {
  let stop: (code: number) => void = () => undefined
  const stopped = new Promise<number>((resolve) => (stop = resolve))
  let askedAt = 0
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      askedAt ||= Date.now()
      stop(0)
      if (Date.now() - askedAt > sameInterruptMs) process.exit(1)
    })
  }
  void running.failed.then((error) => {
    console.error(error.message)
    stop(1)
  })
  const code = await stopped
  console.log('Stopping: events under way are finished first. Once more ends it at once.')
  setTimeout(() => {
    console.error(
      `Not everything could be closed within ${closeLimitMs / 1000} s. Nothing is lost: the next start goes on with what is in the log.`,
    )
    process.exit(1)
  }, closeLimitMs)
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
      const token =
        read.ADMIN_TOKEN === null ? `the token in ${read.adminTokenFile}` : 'the token that ADMIN_TOKEN holds'
      console.log(`Footfall runs.

  Console   ${running.publicUrl}
  Data      ${running.dataDirectory}
  Sign in   ${running.signInLink()}
            (opens your first board; works once, within 15 minutes. Later: sign in with ${token})

Stop with Ctrl-C.`)
      await runUntilStopped(running)
    })
}
