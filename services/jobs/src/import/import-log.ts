import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import type { Deployment } from '@footfall/contracts/registry'
import { createAgentClassifier } from '@footfall/enrichment/agent-classes'
import { createLocalClock } from '@footfall/enrichment/local-time'
import type { EventLog, LogRecord } from '@footfall/event-log'
import type { Job, JobContext } from '@footfall/job-queue'
import * as z from 'zod'
import { createLineReader } from './line-records.ts'
import { readImportSecret } from './secrets.ts'

export const importPayloadSchema = z.strictObject({
  deployment: z.string().min(1),
  /** Absolute path on the machine of the server. The log is read where it lies: its addresses are never copied. */
  path: z.string().min(1),
})

const checkpointSchema = z.object({
  receivedAt: z.number(),
  lines: z.number(),
  salts: z.record(z.string(), z.string()),
  counts: z.object({ events: z.number(), other: z.number(), unreadable: z.number() }),
})
export type ImportCounts = z.infer<typeof checkpointSchema>['counts']

const linesPerAppend = 2_000

export interface ImportParts {
  readonly log: EventLog
  readonly findDeployment: (id: string) => Deployment | null
  readonly secretsFile: string
  readonly now: () => number
}

async function openLines(path: string): Promise<AsyncIterable<string>> {
  const handle = await open(path).catch((error: unknown) => {
    throw new PipelineError('INVALID_REQUEST', `${path} cannot be read.`, { cause: error, retryable: false })
  })
  const magic = Buffer.alloc(2)
  await handle.read(magic, 0, 2, 0)
  await handle.close()
  const file = createReadStream(path)
  const stream: Readable = magic[0] === 0x1f && magic[1] === 0x8b ? file.pipe(createGunzip()) : file
  file.on('error', (error) => stream.destroy(error))
  return createInterface({ input: stream, crlfDelay: Infinity })
}

/**
 * Imports an access log as page views. Resumes after the last checkpoint; a line that went in twice has the same id
 * and is counted once. The salts of its days are this job's own and go with it, so visitors of past days cannot be
 * found again.
 */
export async function importAccessLog(
  job: Job,
  context: JobContext,
  parts: ImportParts,
): Promise<ImportCounts & { lines: number }> {
  const payload = importPayloadSchema.parse(job.payload)
  const deployment = parts.findDeployment(payload.deployment)
  if (!deployment) throw new PipelineError('NOT_FOUND', `There is no deployment "${payload.deployment}".`)
  const known = checkpointSchema.safeParse(job.progress?.checkpoint)
  const state = known.success
    ? known.data
    : {
        receivedAt: parts.now(),
        lines: 0,
        salts: {} as Record<string, string>,
        counts: { events: 0, other: 0, unreadable: 0 },
      }
  const read = createLineReader({
    deployment,
    secret: await readImportSecret(parts.secretsFile, deployment.id),
    saltOf: (day) => (state.salts[day] ??= randomBytes(32).toString('hex')),
    classify: createAgentClassifier(),
    localTime: createLocalClock(),
    receivedAt: state.receivedAt,
    now: parts.now,
  })
  let line = 0
  let records: LogRecord[] = []
  const counts = { ...state.counts }
  const flush = async (): Promise<void> => {
    // The salts are on disk before the first event that was made with them.
    await context.progress({ done: state.lines, total: null, note: `${state.lines} lines`, checkpoint: { ...state } })
    if (records.length > 0) await parts.log.append(topics.events, records)
    records = []
    state.lines = line
    state.counts = { ...counts }
    await context.progress({
      done: line,
      total: null,
      note: `${line} lines, ${counts.events} page views`,
      checkpoint: { ...state },
    })
  }
  const resumeAfter = state.lines
  for await (const text of await openLines(payload.path)) {
    context.signal.throwIfAborted()
    line++
    // Lines before the checkpoint are read again, not sent: they number the equal lines that follow.
    const result = read(text)
    if (line <= resumeAfter) continue
    if (result.kind === 'event') {
      counts.events++
      records.push({ key: deployment.id + result.record.id, value: JSON.stringify(result.record) })
    } else if (text !== '') {
      counts[result.kind]++
    }
    if (line % linesPerAppend === 0) await flush()
  }
  await flush()
  await context.progress({ done: line, total: line, note: `${line} lines, ${counts.events} page views` })
  return { ...counts, lines: line }
}
