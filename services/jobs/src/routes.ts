import { PipelineError } from '@footfall/contracts/errors'
import { toPipelineError } from '@footfall/contracts/foreign-error'
import { awaitHandlers } from '@footfall/http/http-options'
import type { Job, JobQueue } from '@footfall/job-queue'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import * as z from 'zod'
import type { Feeds } from './import/feed.ts'
import { parseWork, queueOf } from './start.ts'

export interface JobRouteParts {
  readonly queue: JobQueue
  /** What the request's token allows, or null. @throws TOO_MANY_TRIES */
  readonly authorise: (request: FastifyRequest, reply: FastifyReply) => 'admin' | 'read' | null
  readonly feeds: Feeds
  /** Absent where no beacons are taken in: not known is not none. */
  readonly senderShare?: () => { share: number; of: number }
}

const feedSchema = z.strictObject({ deployment: z.string() })
const linesSchema = z.strictObject({ lines: z.array(z.string().max(20_000)).max(5_000) })

function readBody<Output>(schema: z.ZodType<Output>, body: unknown): Output {
  const parsed = schema.safeParse(body ?? {})
  if (parsed.success) return parsed.data
  throw new PipelineError(
    'INVALID_REQUEST',
    parsed.error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`).join('; '),
  )
}

/** What a caller sees of a job; a checkpoint is the handler's own affair. */
const describe = (job: Job): Record<string, unknown> => ({
  id: job.id,
  state: job.state,
  attempt: job.attempt,
  progress: job.progress ? { done: job.progress.done, total: job.progress.total, note: job.progress.note } : null,
  result: job.result,
  error: job.error,
})

/** `POST /api/v1/jobs { kind, payload, key? }` and `GET /api/v1/jobs/:id`, for administrators. */
export async function registerJobRoutes(app: FastifyInstance, parts: JobRouteParts): Promise<void> {
  await app.register(async (scope) => {
    awaitHandlers(scope)
    // Before a body is read: nobody fills the memory without a token.
    scope.addHook('onRequest', async (request, reply) => {
      const granted = parts.authorise(request, reply)
      if (granted === null) throw new PipelineError('UNAUTHORIZED')
      if (granted !== 'admin') throw new PipelineError('FORBIDDEN')
    })
    scope.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) => {
      const known = toPipelineError(error)
      return reply.code(known.status).send(known.toBody())
    })
    scope.post('/api/v1/jobs', async (request, reply) => {
      const body = (request.body ?? {}) as { kind?: unknown; payload?: unknown; key?: unknown }
      const work = parseWork(typeof body.kind === 'string' ? body.kind : '', body.payload ?? {})
      const key = typeof body.key === 'string' ? { key: body.key.slice(0, 200) } : {}
      return reply.code(202).send(describe(await parts.queue.enqueue(queueOf(work.kind), work, key)))
    })
    scope.get('/api/v1/sender-share', async () => parts.senderShare?.() ?? { share: null })
    scope.post('/api/v1/imports', async (request, reply) => {
      return reply.code(201).send({ id: await parts.feeds.start(readBody(feedSchema, request.body).deployment) })
    })
    scope.post<{ Params: { id: string } }>(
      '/api/v1/imports/:id/lines',
      { bodyLimit: 32 * 1024 * 1024 },
      async (request) => {
        return parts.feeds.add(request.params.id, readBody(linesSchema, request.body).lines)
      },
    )
    scope.get<{ Params: { id: string } }>('/api/v1/imports/:id', async (request) => {
      return parts.feeds.result(request.params.id)
    })
    scope.get<{ Params: { id: string } }>('/api/v1/jobs/:id', async (request) => {
      const job = await parts.queue.status(request.params.id)
      if (!job) throw new PipelineError('NOT_FOUND', `There is no job "${request.params.id}".`)
      return describe(job)
    })
  })
}
