import { PipelineError, errorTable, isPipelineError } from '@footfall/contracts/errors'
import type { EventLog } from '@footfall/event-log'
import type { JobQueue } from '@footfall/job-queue'
import type { Registry } from '@footfall/registry/registry'
import type { Store } from '@footfall/store/open'
import type { FastifyInstance } from 'fastify'
import { registerApi } from './api.ts'
import type { SignInLinks } from './sign-in-links.ts'

export interface ConsoleParts {
  readonly store: Store
  readonly registry: Registry
  readonly log: EventLog
  readonly queue?: JobQueue
  readonly config: { readonly publicUrl: () => string; readonly adminToken: () => string; readonly dataDirectory: string }
  /** What only the owner of the log knows. */
  readonly ledgerExtras: () => Promise<{ in_log: number; spooled: number }>
  /** What has stopped the consumer, if anything. */
  readonly problem: () => string | null
  readonly now: () => number
  readonly signInLinks: SignInLinks
}

/** Adds the console's routes to an app; hooks and parsers stay within. */
export async function registerConsole(app: FastifyInstance, parts: ConsoleParts): Promise<void> {
  await app.register(async (scope) => {
    scope.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) => {
      const known = isPipelineError(error) ? error : new PipelineError((error.statusCode ?? 500) < 500 ? 'INVALID_REQUEST' : 'INTERNAL', '', { cause: error })
      return reply.code(errorTable[known.code].status).send(known.toBody())
    })
    registerApi(scope, parts, (request) => {
      const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
      return token === undefined ? null : token === parts.config.adminToken() ? 'admin' : parts.registry.verifyToken(token)
    })
  })
}
