import { resolve } from 'node:path'
import { readConfig, type Config } from '@footfall/config/config'
import { PipelineError } from '@footfall/contracts/errors'
import { demoCatalogue } from '@footfall/jobs/demo/catalogue'
import { startStandalone } from '@footfall/standalone/start'
import type { Command } from 'commander'
import { needServer, runJob } from '../server.ts'
import { runUntilStopped } from './start.ts'

export function demoCommand(program: Command, config: () => Config): void {
  program
    .command('demo')
    .description('a programme of six cities and eight apps with a year of history, in a data directory of its own')
    .option('--data <directory>', 'where it goes', 'demo-data')
    .option('--seed <number>', 'another seed, another history', '1')
    .option('--days <number>', 'days of history', '365')
    .option('--scale <number>', 'multiplies the visits', '1')
    .option('--exit', 'end when the history is in, instead of going on as a server')
    .action(async (options: { data: string; seed: string; days: string; scale: string; exit?: boolean }) => {
      const own = config()
      const dataDirectory = resolve(options.data)
      if (dataDirectory === own.dataDirectory)
        throw new PipelineError('CONFLICT', `${dataDirectory} is DATA_DIR: the demo takes a directory of its own.`)
      // Addresses of engines would lead to the real data: the demo is always embedded.
      const read = readConfig({
        ...process.env,
        DATA_DIR: dataDirectory,
        EVENT_LOG_URL: '',
        STORE_URL: '',
        JOB_QUEUE_URL: '',
        ADMIN_TOKEN_FILE: '',
      })
      const running = await startStandalone(read, { demo: true })
      const server = await needServer(read)
      const until = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)
      const catalogue = demoCatalogue(until)
      const { deployments } = await server.request<{ deployments: { id: string }[] }>('GET', '/api/v1/registry')
      const foreign = deployments.find(({ id }) => !catalogue.deployments.some((deployment) => deployment.id === id))
      if (foreign) {
        await running.close()
        throw new PipelineError(
          'CONFLICT',
          `${dataDirectory} holds real data (${foreign.id}): nothing was changed. Choose another directory with --data.`,
        )
      }
      if (deployments.length === 0) await server.request('POST', '/api/v1/registry/apply', { catalogue })
      const payload = { seed: Number(options.seed), days: Number(options.days), scale: Number(options.scale), until }
      const { events } = await runJob<{ events: number }>(server, 'demo', payload, `demo ${JSON.stringify(payload)}`)
      for (;;) {
        const { in_log } = await server.request<{ in_log: number }>('GET', '/api/v1/ledger')
        if (in_log === 0) break
        process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${in_log} events on their way into the store` : '')
        await new Promise((resolve) => setTimeout(resolve, 500))
      }
      console.log(
        `The demo programme is in ${dataDirectory}: ${events} events.\n\n  Console   ${running.publicUrl}\n  Sign in   ${running.signInLink()}\n`,
      )
      if (options.exit) {
        await running.close()
        process.exit(0)
      }
      await runUntilStopped(running)
    })
}
