import { errorTable, type ErrorBody } from '@footfall/contracts/errors'
import type { FastifyInstance } from 'fastify'

/** Answers every other method of an address with 405 and those it takes. */
export function refuseOtherMethods(app: FastifyInstance, url: string, allowed: readonly string[]): void {
  const { status, message, hint } = errorTable.METHOD_NOT_ALLOWED
  const body: ErrorBody = { error: { code: 'METHOD_NOT_ALLOWED', message, hint } }
  app.route({
    method: app.supportedMethods.filter((method) => !allowed.includes(method)),
    url,
    // Before any body is read: whatever it is, it is not taken.
    onRequest: async (_request, reply) => reply.header('allow', allowed.join(', ')).code(status).send(body),
    handler: async () => body,
  })
}
