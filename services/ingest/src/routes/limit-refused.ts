import type { FastifyInstance } from 'fastify'
import { sendRefusal, type EventRouteOptions } from './events.ts'

/**
 * Whoever sends what is refused, such as unknown keys or broken bodies, does so at most as often as an address may send
 * events; beyond that nothing of its requests is read. Refusals that ask to try again cost nothing, and neither does
 * what is accepted: people who share an address are limited by their events alone.
 */
export function limitRefused(app: FastifyInstance, options: Pick<EventRouteOptions, 'parts' | 'addressOf'>): void {
  const { limiter, refusals } = options.parts
  app.addHook('onRequest', (request, reply, done) => {
    const wait = limiter.waitAfterRefusals(options.addressOf(request.raw).address)
    if (wait === 0) return done()
    refusals.count('', 'rate_limited', 1, '')
    const refusal = { code: 'RATE_LIMITED', reason: 'rate_limited', where: '', retryAfterSeconds: wait } as const
    void sendRefusal(reply, refusal, request.headers.origin)
  })
  app.addHook('onResponse', (request, { statusCode }, done) => {
    const isFinal = statusCode >= 400 && statusCode < 500 && statusCode !== 408 && statusCode !== 429
    if (isFinal) limiter.noteRefusal(options.addressOf(request.raw).address)
    done()
  })
}
