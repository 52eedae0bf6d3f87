import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text as readText } from 'node:stream/consumers'
import type { Config } from '@footfall/config/config'
import { PipelineError } from '@footfall/contracts/errors'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { openRegistry } from '@footfall/registry/registry'
import type { Command } from 'commander'
import { parseDocument } from 'yaml'
import { findServer } from '../server.ts'

interface ApplyAnswer {
  revision: number
  changes: number
  unchanged: number
  generated_keys: readonly { deployment: string; key: string }[]
}

async function readCatalogue(file: string): Promise<unknown> {
  const text = await (file === '-' ? readText(process.stdin) : readFile(file, 'utf8')).catch((error: unknown) => {
    throw new PipelineError('INVALID_REQUEST', `${file} cannot be read.`, { cause: error })
  })
  const document = parseDocument(text, { maxAliasCount: 100 } as never)
  if (document.errors.length > 0)
    throw new PipelineError('INVALID_REQUEST', `${file}: ${document.errors.map((error) => error.message).join('; ')}`)
  return document.toJS({ maxAliasCount: 100 })
}

/** Applies through the running server; opens the files itself only when no server holds them. */
async function apply(config: Config, catalogue: unknown): Promise<ApplyAnswer> {
  const server = await findServer(config)
  if (server) return server.request<ApplyAnswer>('POST', '/api/v1/registry/apply', { catalogue })
  const log = await openEmbeddedEventLog({ directory: config.eventLogUrl.replace(/^file:/, '') })
  try {
    const registry = await openRegistry({ log, snapshotFile: join(config.dataDirectory, 'registry.json') })
    try {
      const { generatedKeys, ...result } = await registry.apply(catalogue, { actor: 'cli' })
      return { ...result, generated_keys: generatedKeys }
    } finally {
      await registry.close()
    }
  } finally {
    await log.close()
  }
}

export function registryCommand(program: Command, config: () => Config): void {
  const registry = program.command('registry').description('organisations, apps, deployments and keys')
  registry
    .command('apply')
    .description('make the registry say what a catalogue says; validated whole before anything changes')
    .argument('<file>', 'catalogue in YAML or JSON; - reads standard input')
    .action(async (file: string) => {
      const { revision, changes, unchanged, generated_keys } = await apply(config(), await readCatalogue(file))
      console.log(`Revision ${revision}: ${changes} changed, ${unchanged} as they were.`)
      for (const { deployment, key } of generated_keys) console.log(`Key of ${deployment}: ${key}`)
    })
  registry
    .command('list')
    .description('print the registry as JSON')
    .action(async () => {
      const server = await findServer(config())
      if (!server) throw new PipelineError('NOT_READY', 'No server runs on this data directory.')
      console.log(JSON.stringify(await server.request('GET', '/api/v1/registry'), null, 2))
    })
}
