import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { readConfig, type Config } from '@footfall/config/config'
import { PipelineError } from '@footfall/contracts/errors'
import type { Catalogue } from '@footfall/contracts/registry'
import { demoCatalogue } from '@footfall/jobs/demo/catalogue'
import { startStandalone } from '@footfall/standalone/start'
import type { Command } from 'commander'
import * as z from 'zod'
import { needServer, runJob } from '../server.ts'
import { runUntilStopped } from './start.ts'

/** Marks a directory as the demo's own, before anything else is in it: also one whose start failed. */
const markName = 'demo.json'
const snapshotSchema = z.object({ state: z.object({ deployments: z.array(z.tuple([z.string(), z.unknown()])) }) })

/** Names a deployment that is none of the demo's. */
const findForeign = (ids: readonly string[], catalogue: Catalogue): string | undefined =>
  ids.find((id) => !catalogue.deployments.some((deployment) => deployment.id === id))

const refuse = (directory: string, why: string): PipelineError =>
  new PipelineError('CONFLICT', `${directory} ${why}: nothing was changed. Choose another directory with --data.`)

/** Takes an empty directory for the demo, or one that is its own. @throws CONFLICT, having changed nothing. */
async function claimDirectory(directory: string, catalogue: Catalogue): Promise<void> {
  const present = existsSync(directory) ? await readdir(directory) : []
  if (present.length > 0 && !present.includes(markName)) throw refuse(directory, 'is not empty, and no demo of ours')
  if (present.includes('registry.json')) {
    const snapshot = snapshotSchema.parse(JSON.parse(await readFile(join(directory, 'registry.json'), 'utf8')))
    const foreign = findForeign(
      snapshot.state.deployments.map(([id]) => id),
      catalogue,
    )
    if (foreign !== undefined) throw refuse(directory, `holds real data (${foreign})`)
  }
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeFile(join(directory, markName), '{"v":1}\n', { mode: 0o600 })
}

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
      const until = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)
      const catalogue = demoCatalogue(until)
      await claimDirectory(dataDirectory, catalogue)
      const running = await startStandalone(read, { demo: true })
      try {
        const server = await needServer(read)
        const { deployments } = await server.request<{ deployments: { id: string }[] }>('GET', '/api/v1/registry')
        const foreign = findForeign(
          deployments.map(({ id }) => id),
          catalogue,
        )
        if (foreign !== undefined) throw refuse(dataDirectory, `holds real data (${foreign})`)
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
