import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '@footfall/config/config'
import { PipelineError, type ErrorBody } from '@footfall/contracts/errors'
import * as z from 'zod'

const serverSchema = z.object({ pid: z.number(), url: z.string(), publicUrl: z.string() })

/** The running server of a data directory. */
export interface Server {
  readonly url: string
  /** Where people reach it. */
  readonly publicUrl: string
  readonly pid: number
  readonly token: string
  /** @throws what the server answered, as PipelineError. */
  request<Answer>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer>
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Finds the server that runs on the data directory; null when none does. */
export async function findServer(config: Config): Promise<Server | null> {
  const file = join(config.dataDirectory, 'server.json')
  if (!existsSync(file)) return null
  const parsed = serverSchema.safeParse(JSON.parse(await readFile(file, 'utf8')))
  if (!parsed.success || !isAlive(parsed.data.pid)) return null
  const { url, publicUrl, pid } = parsed.data
  const token = config.ADMIN_TOKEN ?? (await readFile(config.adminTokenFile, 'utf8')).trim()
  return {
    url,
    publicUrl,
    pid,
    token,
    async request<Answer>(method: 'GET' | 'POST', path: string, body?: unknown) {
      const response = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const answer = (await response.json()) as Answer | ErrorBody
      if (!response.ok) {
        const { error } = answer as ErrorBody
        throw new PipelineError(error.code, error.message.replace(/^[^.]*\.\s*/, ''))
      }
      return answer as Answer
    },
  }
}

/** @throws NOT_READY when no server runs on the data directory. */
export async function needServer(config: Config): Promise<Server> {
  const server = await findServer(config)
  if (!server)
    throw new PipelineError(
      'NOT_READY',
      `No server runs on ${config.dataDirectory}: start it with "npx footfall start", or set DATA_DIR.`,
    )
  return server
}

interface JobAnswer {
  id: string
  state: 'waiting' | 'running' | 'done' | 'failed'
  progress: { done: number; total: number | null; note?: string } | null
  result: unknown
  error: string | null
}

/** Queues work, shows its progress, and resolves to its result. @throws JOB_FAILED */
export async function runJob<Result>(server: Server, kind: string, payload: unknown, key?: string): Promise<Result> {
  let job = await server.request<JobAnswer>('POST', '/api/v1/jobs', {
    kind,
    payload,
    ...(key === undefined ? {} : { key }),
  })
  let shown = ''
  while (job.state === 'waiting' || job.state === 'running') {
    await new Promise((resolve) => setTimeout(resolve, 300))
    job = await server.request<JobAnswer>('GET', `/api/v1/jobs/${job.id}`)
    const note = job.progress?.note ?? ''
    if (note !== shown && note !== '') {
      process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${note}` : `${note}\n`)
      shown = note
    }
  }
  if (shown !== '' && process.stderr.isTTY) process.stderr.write('\n')
  if (job.state === 'failed') throw new PipelineError('JOB_FAILED', job.error ?? '')
  return job.result as Result
}
