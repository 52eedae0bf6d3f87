import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PipelineError } from '@footfall/contracts/errors'
import { writeDurably } from '@footfall/event-log/files'
import * as z from 'zod'

const movedSchema = z.object({ to: z.string(), started_at: z.string(), finished_at: z.string().nullable() })
export type Moved = z.infer<typeof movedSchema>

export const movedFile = (directory: string): string => join(directory, 'moved.json')

/** Notes in a data directory where its contents go, or went: nothing is to be added to it from then on. Durable. */
export const writeMoved = (directory: string, moved: Moved): Promise<void> =>
  writeDurably(movedFile(directory), JSON.stringify(moved))

export async function readMoved(directory: string): Promise<Moved | null> {
  const file = movedFile(directory)
  return existsSync(file) ? movedSchema.parse(JSON.parse(await readFile(file, 'utf8'))) : null
}

/** @throws CONFLICT when the contents of a data directory are counted elsewhere, or on their way there. */
export async function refuseMoved(directory: string): Promise<void> {
  const moved = await readMoved(directory)
  if (!moved) return
  const file = movedFile(directory)
  throw new PipelineError(
    'CONFLICT',
    moved.finished_at === null
      ? `${directory} is being moved to ${moved.to} since ${moved.started_at}. Run "footfall migrate-to" again to finish that, or remove ${file} to go on here: the next move then begins anew.`
      : `${directory} was moved to ${moved.to} at ${moved.finished_at}: its events are counted there. What would be added here would be counted nowhere.`,
  )
}
