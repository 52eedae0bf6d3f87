import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Writes a small file (0600) whole, for those who may read the directory; on disk when it resolves. */
export async function writeJsonFile(file: string, facts: Record<string, unknown>): Promise<void> {
  const handle = await open(`${file}.new`, 'w', 0o600)
  try {
    await handle.writeFile(`${JSON.stringify(facts)}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(`${file}.new`, file)
  const directory = await open(dirname(file), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
