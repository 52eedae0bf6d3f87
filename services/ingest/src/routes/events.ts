import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { errorTable, type ErrorBody, type ErrorCode } from '@footfall/contracts/errors'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ClientAddress } from '@footfall/http/client-address'
import type { Delivery, IngestParts, Outcome, Refusal } from '../delivery.ts'
import { runPipeline } from '../pipeline.ts'
import { refuseOtherMethods } from './method-not-allowed.ts'
import type { IncomingMessage } from 'node:http'

const gunzipAsync = promisify(gunzip)

export interface EventRouteOptions {
  readonly parts: IngestParts
  readonly addressOf: (request: IncomingMessage) => ClientAddress
  /** Bytes after decompression, whatever the key. */
  readonly maxBytes: number
  readonly onOutcome?: (outcome: Outcome, delivery: Delivery) => void
}

/** Content types a beacon may come as; the body is read the same way whatever it is called. */
const readable = /^(application\/json|text\/plain)\s*(;|$)/i

function errorBody(code: ErrorCode, where: string): ErrorBody {
  const { message, hint } = errorTable[code]
  return { error: { code, message: where ? `${message} (${where})` : message, hint } }
}

/** Lets the page read the answer: without credentials, and only for its own origin. */
function allowOrigin(reply: FastifyReply, origin: string | undefined): void {
  void reply.header('vary', 'Origin').header('cross-origin-resource-policy', 'cross-origin')
  if (origin === undefined) return
  void reply.header('access-control-allow-origin', origin).header('access-control-expose-headers', 'retry-after')
}

export function sendRefusal(reply: FastifyReply, refusal: Refusal, origin?: string): FastifyReply {
  if (refusal.retryAfterSeconds !== undefined) void reply.header('retry-after', String(refusal.retryAfterSeconds))
  allowOrigin(reply, origin)
  return reply.code(errorTable[refusal.code].status).send(errorBody(refusal.code, refusal.where))
}

/** Starts a delivery: what is known of a request before any step has looked at it. */
export function newDelivery(raw: IncomingMessage, body: Buffer, address: ClientAddress, receivedAt: number): Delivery {
  return {
    body,
    headers: raw.headers,
    address: address.address,
    viaTrustedProxy: address.viaTrustedProxy,
    receivedAt,
    beacon: null,
    owner: null,
    origin: null,
    test: false,
    agent: null,
    country: '',
    visitor: null,
    drafts: [],
  }
}

/** `POST /v1/events`: the native beacon. 202 only once every accepted event is durable. */
export function eventRoute(app: FastifyInstance, options: EventRouteOptions): void {
  const { parts, maxBytes } = options
  const refuse = (reply: FastifyReply, refusal: Refusal, origin: string | undefined): FastifyReply => {
    parts.refusals.count('', refusal.reason, 1, refusal.where)
    return sendRefusal(reply, refusal, origin)
  }

  app.post('/v1/events', async (request, reply) => {
    const { headers } = request
    // A refusal carries nothing secret: any page may read why its beacon was refused.
    const origin = headers.origin
    const type = headers['content-type']
    if (type !== undefined && type !== '' && !readable.test(type)) {
      return refuse(reply, { code: 'UNSUPPORTED_MEDIA_TYPE', reason: 'malformed', where: 'content-type' }, origin)
    }
    let body: Buffer = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    const encoding = headers['content-encoding']?.trim().toLowerCase()
    if (encoding === 'gzip') {
      try {
        // The cap holds while it inflates: a bomb is refused before it grows.
        body = await gunzipAsync(body, { maxOutputLength: maxBytes })
      } catch (error) {
        const tooLarge = error instanceof RangeError || (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
        return refuse(
          reply,
          tooLarge
            ? { code: 'BODY_TOO_LARGE', reason: 'body_too_large', where: 'after decompression' }
            : { code: 'MALFORMED_JSON', reason: 'malformed', where: 'the gzip stream' },
          origin,
        )
      }
    } else if (encoding !== undefined && encoding !== 'identity') {
      return refuse(reply, { code: 'UNSUPPORTED_MEDIA_TYPE', reason: 'malformed', where: 'content-encoding' }, origin)
    }
    const delivery = newDelivery(request.raw, body, options.addressOf(request.raw), parts.now())
    const outcome = await runPipeline(delivery, parts)
    options.onOutcome?.(outcome, delivery)
    if (outcome.refusal) return sendRefusal(reply, outcome.refusal, origin)
    allowOrigin(reply, delivery.origin ?? origin)
    void reply.code(202).header('content-type', 'application/json; charset=utf-8')
    if (outcome.receipts.length === 0) return reply.send(`{"accepted":${outcome.accepted},"receipts":[]}`)
    return reply.send(JSON.stringify({ accepted: outcome.accepted, receipts: outcome.receipts }))
  })

  // Browsers ask first when a page sends application/json from another origin.
  app.options('/v1/events', async (request, reply) => {
    allowOrigin(reply, request.headers.origin)
    return reply
      .header('access-control-allow-methods', 'POST')
      .header('access-control-allow-headers', 'content-type, content-encoding')
      .header('access-control-max-age', '86400')
      .code(204)
      .send()
  })

  refuseOtherMethods(app, '/v1/events', ['POST', 'OPTIONS'])
}
