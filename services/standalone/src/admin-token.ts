import { randomBytes } from 'node:crypto'
import { chmod, open, readFile } from 'node:fs/promises'
import { PipelineError } from '@footfall/contracts/errors'

/** The operator's token: as configured, else from its file, else made now and kept there (0600). */
export async function readAdminToken(configured: string | null, file: string): Promise<string> {
  if (configured !== null) return configured
  try {
    const token = (await readFile(file, 'utf8')).trim()
    if (token.length < 16) throw new PipelineError('CONFLICT', `${file} must hold a token of at least 16 characters.`)
    await chmod(file, 0o600)
    return token
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const token = randomBytes(32).toString('base64url')
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.writeFile(`${token}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return token
}
