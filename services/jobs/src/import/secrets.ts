import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { PipelineError } from '@footfall/contracts/errors'
import { writeDurably } from '@footfall/event-log/files'
import * as z from 'zod'
import { createTurns } from '../turns.ts'

const fileSchema = z.record(z.string(), z.string().min(32))
/** Of this process, the file's only writer: two that make a secret at once would lose one, and count its lines twice. */
const inTurn = createTurns()

async function readSecrets(file: string): Promise<Record<string, string>> {
  try {
    return fileSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return {}
  }
}

/**
 * The secret of a deployment's imports, made at the first and kept (0600): the same line gets the same id however late
 * it is imported again. Durable when it resolves.
 */
export async function readImportSecret(file: string, deployment: string): Promise<string> {
  return inTurn(async () => {
    const secrets = await readSecrets(file)
    const known = secrets[deployment]
    if (known !== undefined) return known
    const secret = randomBytes(32).toString('hex')
    await writeDurably(file, JSON.stringify({ ...secrets, [deployment]: secret }))
    return secret
  })
}

/**
 * Adds the secrets of another file, of an installation that goes on in this one. Durable when it resolves to how many.
 * @throws CONFLICT when a deployment has another secret already: its lines would be counted twice.
 */
export async function addImportSecrets(file: string, from: string): Promise<number> {
  return inTurn(async () => {
    const [known, added] = [await readSecrets(file), await readSecrets(from)]
    const names = Object.keys(added)
    const other = names.find((name) => known[name] !== undefined && known[name] !== added[name])
    if (other !== undefined)
      throw new PipelineError('CONFLICT', `${file} has another secret for the imports of ${other} than ${from}.`)
    if (names.some((name) => known[name] === undefined))
      await writeDurably(file, JSON.stringify({ ...known, ...added }))
    return names.length
  })
}
