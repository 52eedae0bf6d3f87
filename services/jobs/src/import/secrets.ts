import { randomBytes } from 'node:crypto'
import { open, readFile, rename } from 'node:fs/promises'
import * as z from 'zod'

const fileSchema = z.record(z.string(), z.string().min(32))

/**
 * The secret of a deployment's imports, made at the first and kept (0600): the same line gets the same id however late
 * it is imported again. Durable when it resolves.
 */
export async function readImportSecret(file: string, deployment: string): Promise<string> {
  let secrets: Record<string, string> = {}
  try {
    secrets = fileSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const known = secrets[deployment]
  if (known !== undefined) return known
  const secret = randomBytes(32).toString('hex')
  const handle = await open(`${file}.new`, 'w', 0o600)
  try {
    await handle.writeFile(JSON.stringify({ ...secrets, [deployment]: secret }))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(`${file}.new`, file)
  return secret
}
