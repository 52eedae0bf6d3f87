import { existsSync } from 'node:fs'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '@footfall/config/config'
import { PipelineError } from '@footfall/contracts/errors'
import { readSaltedDeployments } from '@footfall/ingest/salted-deployments'
import { openSalts } from '@footfall/ingest/salts'
import { openSharedSalts } from '@footfall/ingest/shared-salts'
import type { Registry } from '@footfall/registry/registry'

const saltsFile = (directory: string): string => join(directory, 'salts.json')

export interface CarriedSalts {
  /** Where they are now, in words. */
  readonly where: string
  /** Somebody else has them: those in the directory may go. */
  readonly isCarried: boolean
}

/**
 * Gives the salts of today to whoever goes on with them: visitors of the day are known again there.
 * @throws NOT_READY when the Redis does not take them; CONFLICT when it persists.
 */
export async function carrySalts(directory: string, registry: Registry, config: Config): Promise<CarriedSalts> {
  const file = saltsFile(directory)
  if (!existsSync(file)) return { where: 'nowhere: there are none', isCarried: false }
  if (config.SALT_REDIS_URL === '') {
    const target = saltsFile(config.dataDirectory)
    if (target === file || existsSync(target))
      return { where: `still in ${file}: put it into the DATA_DIR of your one ingest`, isCarried: false }
    await mkdir(config.dataDirectory, { recursive: true, mode: 0o700 })
    await copyFile(file, target)
    return { where: `in ${target}, for an ingest with that DATA_DIR`, isCarried: true }
  }
  const problems: string[] = []
  const shared = openSharedSalts(config.SALT_REDIS_URL, { onProblem: (problem) => problems.push(problem) })
  try {
    await shared.exchange(openSalts(file), readSaltedDeployments(registry)(Date.now()))
  } finally {
    await shared.close()
  }
  if (problems.length > 0) throw new PipelineError('NOT_READY', problems.join('; '))
  return { where: `in the Redis at ${new URL(config.SALT_REDIS_URL).host}`, isCarried: true }
}
