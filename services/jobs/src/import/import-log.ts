import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import type { Deployment } from '@footfall/contracts/registry'
import { createAgentClassifier } from '@footfall/enrichment/agent-classes'
import { createLocalClock } from '@footfall/enrichment/local-time'
import type { LogRecord } from '@footfall/event-log'
import type { Job, JobContext } from '@footfall/job-queue'
import * as z from 'zod'
import { countLine, importCountsSchema, noLines, readImportResult } from './import-result.ts'
import type { ImportResult, ImportResultParts } from './import-result.ts'
import { createLineCutter } from './line-cutter.ts'
import { createLineReader } from './line-records.ts'
import { readImportSecret } from './secrets.ts'

export const importPayloadSchema = z.strictObject({
  deployment: z.string().min(1),
  /** Absolute path on the machine of the server. The log is read where it lies: its addresses are never copied. */
  path: z.string().min(1),
})

const checkpointSchema = z.object({
  receivedAt: z.number(),
  salts: z.record(z.string(), z.string()),
  counts: importCountsSchema,
})

const linesPerAppend = 2_000

export interface ImportParts extends ImportResultParts {
  readonly findDeployment: (id: string) => Deployment | null
  readonly secretsFile: string
  readonly now: () => number
}

async function openBytes(path: string): Promise<Readable> {
  const handle = await open(path).catch((error: unknown) => {
    throw new PipelineError('INVALID_REQUEST', `${path} cannot be read.`, { cause: error, retryable: false })
  })
  const magic = Buffer.alloc(2)
  await handle.read(magic, 0, 2, 0)
  await handle.close()
  const file = createReadStream(path)
  const stream: Readable = magic[0] === 0x1f && magic[1] === 0x8b ? file.pipe(createGunzip()) : file
  file.on('error', (error) => stream.destroy(error))
  return stream
}

/** Whether a gzip stream ended too early or does not hold what its checksum says. */
export const isBrokenGzip = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')

/**
 * Imports an access log as page views. Resumes after the last checkpoint; a line that went in twice has the same id
 * and is counted once. The salts of its days are this job's own and go with it, so visitors of past days cannot be
 * found again. A last line without a newline may be half written: it is held back.
 */
export async function importAccessLog(
  job: Job,
  context: JobContext,
  parts: ImportParts,
): Promise<ImportResult & { held_back: boolean }> {
  const payload = importPayloadSchema.parse(job.payload)
  const deployment = parts.findDeployment(payload.deployment)
  if (!deployment) throw new PipelineError('NOT_FOUND', `There is no deployment "${payload.deployment}".`)
  const known = checkpointSchema.safeParse(job.progress?.checkpoint)
  const state = known.success
    ? known.data
    : { receivedAt: parts.now(), salts: {} as Record<string, string>, counts: noLines }
  const read = createLineReader({
    deployment,
    secret: await readImportSecret(parts.secretsFile, deployment.id),
    saltOf: (day) => (state.salts[day] ??= randomBytes(32).toString('hex')),
    classify: createAgentClassifier(),
    localTime: createLocalClock(),
    receivedAt: state.receivedAt,
    now: parts.now,
  })
  const resumeAfter = state.counts.lines
  let { counts } = state
  let records: LogRecord[] = []
  const report = (): Promise<void> =>
    context.progress({
      done: state.counts.lines,
      total: null,
      note: `${state.counts.lines} lines, ${state.counts.events} page views`,
      checkpoint: { ...state },
    })
  const flush = async (): Promise<void> => {
    // The salts are on disk before the first event that was made with them.
    await report()
    if (records.length > 0) await parts.log.append(topics.events, records)
    records = []
    state.counts = counts
    await report()
  }
  const cutter = createLineCutter()
  let line = 0
  try {
    for await (const bytes of await openBytes(payload.path)) {
      for (const text of cutter.cut(bytes as Buffer)) {
        context.signal.throwIfAborted()
        // Lines before the checkpoint are read again, not sent: they number the equal lines that follow.
        const result = read(text)
        if (++line <= resumeAfter) continue
        counts = countLine(counts, text, result)
        if (result.kind === 'event')
          records.push({ key: deployment.id + result.record.id, value: JSON.stringify(result.record) })
        if (line % linesPerAppend === 0) await flush()
      }
    }
  } catch (error) {
    if (!isBrokenGzip(error)) throw error
    await flush()
    throw new PipelineError(
      'INVALID_REQUEST',
      `${payload.path} breaks off after line ${line}: its gzip data are cut or damaged. ` +
        `${counts.events} page views up to there were sent. Get the file whole and import it again: they are not counted twice.`,
      { cause: error, retryable: false },
    )
  }
  await flush()
  const { signal } = context
  const result = await readImportResult(parts, { ...state, deployment: deployment.id, signal })
  return { ...result, held_back: cutter.rest() !== '' }
}
