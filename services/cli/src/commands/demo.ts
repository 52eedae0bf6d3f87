import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { readConfig, type Config } from '@footfall/config/config'
import { PipelineError } from '@footfall/contracts/errors'
import type { Catalogue } from '@footfall/contracts/registry'
import { demoCatalogue } from '@footfall/jobs/demo/catalogue'
import { historyFile, planHistory, saveHistory, type DemoHistory } from '@footfall/jobs/demo/history'
import { startStandalone } from '@footfall/standalone/start'
import type { Command } from 'commander'
import * as z from 'zod'
import { needServer, runJob } from '../server.ts'
import { runUntilStopped } from './start.ts'

const snapshotSchema = z.object({ state: z.object({ deployments: z.array(z.tuple([z.string(), z.unknown()])) }) })

/** Names a deployment that is none of the demo's. */
const findForeign = (ids: readonly string[], catalogue: Catalogue): string | undefined =>
  ids.find((id) => !catalogue.deployments.some((deployment) => deployment.id === id))

const refuse = (directory: string, why: string): PipelineError =>
  new PipelineError('CONFLICT', `${directory} ${why}: nothing was changed. Choose another directory with --data.`)

/**
 * Takes an empty directory for the demo, or one that is its own: marked by its history before anything else is in it,
 * also one whose start failed. @throws CONFLICT, having changed nothing.
 */
async function claimDirectory(directory: string, catalogue: Catalogue, history: DemoHistory): Promise<void> {
  const present = existsSync(directory) ? await readdir(directory) : []
  if (present.length > 0 && !present.includes(historyFile)) throw refuse(directory, 'is not empty, and no demo of ours')
  if (present.includes('registry.json')) {
    const snapshot = snapshotSchema.parse(JSON.parse(await readFile(join(directory, 'registry.json'), 'utf8')))
    const foreign = findForeign(
      snapshot.state.deployments.map(([id]) => id),
      catalogue,
    )
    if (foreign !== undefined) throw refuse(directory, `holds real data (${foreign})`)
  }
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await saveHistory(directory, history)
}

interface DemoOptions {
  readonly data: string
  readonly seed?: string
  readonly days?: string
  readonly scale?: string
  readonly exit?: true
}

export function demoCommand(program: Command, config: () => Config): void {
  program
    .command('demo')
    .description('a programme of six cities and eight apps with a year of history, in a data directory of its own')
    .option('--data <directory>', 'where it goes', 'demo-data')
    .option('--seed <number>', 'another seed, another history; 1 unless given')
    .option('--days <number>', 'days of history at the first start; 365 unless given')
    .option('--scale <number>', 'multiplies the visits; 1 unless given')
    .option('--exit', 'end when the history is in, instead of going on as a server')
    .action(async (options: DemoOptions) => {
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
      const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)
      const { history, payload } = await planHistory(dataDirectory, options, yesterday)
      const catalogue = demoCatalogue(history.end)
      await claimDirectory(dataDirectory, catalogue, history)
      const running = await startStandalone(read, { demo: true })
      try {
        const server = await needServer(read)
        const { deployments } = await server.request<{ deployments: { id: string }[] }>('GET', '/api/v1/registry')
        const foreign = findForeign(
          deployments.map(({ id }) => id),
          catalogue,
        )
        if (foreign !== undefined) throw refuse(dataDirectory, `holds real data (${foreign})`)
        await server.request('POST', '/api/v1/registry/apply', { catalogue })
        const { events } = await runJob<{ events: number }>(server, 'demo', payload, `demo ${JSON.stringify(payload)}`)
        await saveHistory(dataDirectory, { ...history, until: payload.until })
        for (;;) {
          const { in_log } = await server.request<{ in_log: number }>('GET', '/api/v1/ledger')
          if (in_log === 0) break
          process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${in_log} events on their way into the store` : '')
          await new Promise((resolve) => setTimeout(resolve, 500))
        }
        console.log(
          `The demo programme is in ${dataDirectory}: ${events} new events.\n\n  Console   ${running.publicUrl}\n  Sign in   ${running.signInLink()}\n`,
        )
      } catch (error) {
        await running.close()
        throw error
      }
      if (options.exit) {
        await running.close()
        process.exit(0)
      }
      await runUntilStopped(running)
    })
}
