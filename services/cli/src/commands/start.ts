import type { Config } from '@footfall/config/config'
import { PipelineError } from '@footfall/contracts/errors'
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

const services = {
  ingest: async (config: Config) => (await import('../services/ingest.ts')).startIngest(config),
  consumer: async (config: Config) => (await import('../services/consumer.ts')).startConsumerService(config),
  console: async (config: Config) => (await import('../services/console.ts')).startConsoleService(config),
  jobs: async (config: Config) => (await import('../services/jobs.ts')).startJobsService(config),
  'embedded-clickhouse': async (config: Config) =>
    (await import('../services/embedded-clickhouse.ts')).startEmbeddedClickHouse(config),
}
type ServiceName = keyof typeof services
const names = Object.keys(services) as ServiceName[]

async function startAll(read: Config): Promise<void> {
  const running = await startStandalone(read)
  const token = read.ADMIN_TOKEN === null ? `the token in ${read.adminTokenFile}` : 'the token that ADMIN_TOKEN holds'
  console.log(`Footfall runs.

  Console   ${running.publicUrl}
  Data      ${running.dataDirectory}
  Sign in   ${running.signInLink()}
            (opens your first board; works once, within 15 minutes. Later: sign in with ${token})

Stop with Ctrl-C.`)
  await runUntilStopped(running)
}

export function startCommand(program: Command, config: () => Config): void {
  program
    .command('start')
    .argument('[service]', `one service alone: ${names.join(', ')}; without: everything in this process`)
    .option('--drain-only', 'ingest: hand on what the spool in DATA_DIR holds, then end')
    .description(
      'run everything in this process, with embedded ClickHouse beside it; or one service of a distributed installation',
    )
    .action(async (name: string | undefined, { drainOnly }: { drainOnly?: boolean }) => {
      const read = config()
      if (drainOnly === true && name !== 'ingest')
        throw new PipelineError('INVALID_REQUEST', '--drain-only belongs to "footfall start ingest".')
      if (name === undefined) return startAll(read)
      if (!names.includes(name as ServiceName))
        throw new PipelineError('INVALID_REQUEST', `There is no service "${name}"; there are ${names.join(', ')}.`)
      if (drainOnly === true) {
        const { drainSpool } = await import('../services/ingest.ts')
        await drainSpool(read, (left) => console.log(`${left} events wait in the spool`))
        console.log('The spool is empty.')
        process.exit(0)
      }
      const running = await services[name as ServiceName](read)
      console.log(`Footfall ${name} runs on ${running.url}`)
      if ('signInLink' in running) console.log(`Sign in: ${(running as { signInLink(): string }).signInLink()}`)
      await runUntilStopped(running)
    })
}
