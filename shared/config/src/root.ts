import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder that holds the project's package.json: assets (SQL, the SDK, dist) are found from there, bundled or not. */
export function findRoot(from = dirname(fileURLToPath(import.meta.url))): string {
  for (let directory = from; ; directory = dirname(directory)) {
    const file = join(directory, 'package.json')
    if (existsSync(file) && (JSON.parse(readFileSync(file, 'utf8')) as { name?: string }).name === 'footfall')
      return directory
    if (directory === dirname(directory)) throw new Error(`no footfall package.json above ${from}`)
  }
}
