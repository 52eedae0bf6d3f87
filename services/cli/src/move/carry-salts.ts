import { existsSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '@footfall/config/config'
import { PipelineError } from '@footfall/contracts/errors'
import { readSaltedDeployments } from '@footfall/ingest/salted-deployments'
import { openSalts } from '@footfall/ingest/salts'
import { openSharedSalts } from '@footfall/ingest/shared-salts'
import type { Registry } from '@footfall/registry/registry'

const saltsFile = (directory: string): string => join(directory, 'salts.json')

/**
 * Gives the salts of today to whoever goes on with them: visitors of the day are known again there.
 * @returns where they are now. @throws NOT_READY when the Redis does not take them; CONFLICT when it persists.
 */
export async function carrySalts(directory: string, registry: Registry, config: Config): Promise<string> {
  const file = saltsFile(directory)
  if (!existsSync(file)) return 'nowhere: there are none'
  if (config.SALT_REDIS_URL === '') {
    const target = saltsFile(config.dataDirectory)
    if (target === file || existsSync(target)) return `still in ${file}: put it into the DATA_DIR of your one ingest`
    await copyFile(file, target)
    return `in ${target}, for an ingest with that DATA_DIR`
  }
  const problems: string[] = []
  const shared = openSharedSalts(config.SALT_REDIS_URL, { onProblem: (problem) => problems.push(problem) })
  try {
    await shared.exchange(openSalts(file), readSaltedDeployments(registry)(Date.now()))
  } finally {
    await shared.close()
  }
  if (problems.length > 0) throw new PipelineError('NOT_READY', problems.join('; '))
  return `in the Redis at ${new URL(config.SALT_REDIS_URL).host}`
}
