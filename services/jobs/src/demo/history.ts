import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PipelineError } from '@footfall/contracts/errors'
import { shiftDay } from '@footfall/enrichment/local-time'
import { writeDurably } from '@footfall/event-log/files'
import * as z from 'zod'
import type { demoPayloadSchema } from './generate.ts'

const historySchema = z.strictObject({
  seed: z.int(),
  days: z.int().min(1).max(400),
  scale: z.number().min(0.001).max(100),
  /** Last day of the history as it was first made. */
  end: z.iso.date(),
  /** Last day that is in the log; null: none yet. */
  until: z.iso.date().nullable(),
})
/** What a demo directory holds: the same seed, days, scale and end make the same events whenever it is started. */
export type DemoHistory = z.infer<typeof historySchema>

export const historyFile = 'demo.json'

/**
 * The history of a directory, or the one that is asked for when it has none yet; changes nothing.
 * @param asked options as they were typed; missing ones are those of the history.
 * @throws CONFLICT when another history is there; INVALID_REQUEST.
 */
export async function planHistory(
  directory: string,
  asked: { readonly seed?: string; readonly days?: string; readonly scale?: string },
  yesterday: string,
): Promise<{ history: DemoHistory; payload: z.infer<typeof demoPayloadSchema> }> {
  const text = await readFile(join(directory, historyFile), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  const read = text === null ? null : historySchema.safeParse(JSON.parse(text))
  if (read?.success === false)
    throw new PipelineError('CONFLICT', `${join(directory, historyFile)} is no history that this version knows.`)
  const known = read?.data ?? null
  const usual = known ?? { seed: 1, days: 365, scale: 1, end: yesterday, until: null }
  const numberOf = (name: 'seed' | 'days' | 'scale'): number =>
    asked[name] === undefined ? usual[name] : Number(asked[name])
  const parsed = historySchema.safeParse({
    ...usual,
    seed: numberOf('seed'),
    days: numberOf('days'),
    scale: numberOf('scale'),
  })
  if (!parsed.success) throw new PipelineError('INVALID_REQUEST', z.prettifyError(parsed.error))
  const history = parsed.data
  const { seed, days, scale, end, until } = history
  if (known && (seed !== known.seed || days !== known.days || scale !== known.scale)) {
    throw new PipelineError(
      'CONFLICT',
      `${directory} holds the history of --seed ${known.seed} --days ${known.days} --scale ${known.scale}: leave these options out to go on with it, or choose another directory with --data.`,
    )
  }
  const from = until === null ? shiftDay(end, 1 - days) : shiftDay(until, 1)
  return { history, payload: { seed, scale, end, from, until: yesterday } }
}

/** Notes durably which history a directory holds. */
export const saveHistory = (directory: string, history: DemoHistory): Promise<void> =>
  writeDurably(join(directory, historyFile), `${JSON.stringify(history)}\n`)
