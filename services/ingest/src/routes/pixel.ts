import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { runPipeline } from '../pipeline.ts'
import { newDelivery, sendRefusal, type EventRouteOptions } from './events.ts'
import { refuseOtherMethods } from './method-not-allowed.ts'

/** The smallest transparent GIF. */
const gif = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64')

const sendGif = (reply: FastifyReply): FastifyReply =>
  reply
    .header('cache-control', 'no-store')
    .header('cross-origin-resource-policy', 'cross-origin')
    .type('image/gif')
    .send(gif)

/**
 * `GET /v1/pixel.gif?key=…&url=…`: one page view for pages without JavaScript (`<noscript><img …>`). The page's address
 * is `url`, else the Referer. It has no id of its own, so a repeated request counts again: at least once.
 */
export function pixelRoute(app: FastifyInstance, options: EventRouteOptions): void {
  const { parts } = options
  app.get('/v1/pixel.gif', async (request, reply) => {
    // Looking whether it is there is no visit.
    if (request.method === 'HEAD') return sendGif(reply)
    const query = request.query as Record<string, string | string[] | undefined>
    const one = (name: string): string | undefined => (typeof query[name] === 'string' ? query[name] : undefined)
    const now = parts.now()
    const beacon = {
      key: one('key') ?? '',
      sent_at: now,
      events: [
        {
          id: randomUUID(),
          name: one('name') ?? 'page_view',
          at: now,
          url: one('url') ?? request.headers.referer ?? '',
          ...(one('referrer') === undefined ? {} : { referrer: one('referrer') }),
        },
      ],
    }
    const delivery = newDelivery(request.raw, Buffer.from(JSON.stringify(beacon)), options.addressOf(request.raw), now)
    const outcome = await runPipeline(delivery, parts)
    options.onOutcome?.(outcome, delivery)
    if (outcome.refusal) return sendRefusal(reply, outcome.refusal, request.headers.origin)
    const receipt = outcome.receipts[0]
    if (receipt) void reply.header('x-footfall-dropped', receipt.code)
    return sendGif(reply)
  })
  refuseOtherMethods(app, '/v1/pixel.gif', ['GET', 'HEAD'])
}
