import { STATUS_CODES, type Server } from 'node:http'
import { Socket } from 'node:net'
import { PipelineError, type ErrorCode } from '@footfall/contracts/errors'
import { toPipelineError } from '@footfall/contracts/foreign-error'
import type { FastifyError, FastifyHttpOptions, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

const codesOfParser: Readonly<Record<string, ErrorCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT',
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
}

/** Answers what is not HTTP, or did not come in time: no route and no reply exist for it. */
function answerOnSocket(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const known = new PipelineError(codesOfParser[error.code ?? ''] ?? 'INVALID_REQUEST')
  const body = JSON.stringify(known.toBody())
  const head = [
    `HTTP/1.1 ${known.status} ${STATUS_CODES[known.status]}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    ...(known.retryable ? ['retry-after: 1'] : []),
    'connection: close',
  ]
  if (socket.writable) socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
  socket.destroy(error)
}

/**
 * Fastify options of every server of ours: how long a request may take to arrive, and answers in our form for what no
 * route is asked about.
 */
export function httpOptions(requestTimeoutMs = 10_000) {
  return {
    requestTimeout: requestTimeoutMs,
    connectionTimeout: requestTimeoutMs * 1.5,
    keepAliveTimeout: 65_000,
    http: {
      requestTimeout: requestTimeoutMs,
      headersTimeout: requestTimeoutMs * 0.8,
      // Node looks every 30 s: a body of a byte a second was cut after 89 s.
      connectionsCheckingInterval: requestTimeoutMs / 10,
    },
    // See refuseWhileClosing.
    return503OnClosing: false,
    frameworkErrors: (error: FastifyError, _request: unknown, reply: FastifyReply) => {
      const known = toPipelineError(error)
      void reply.code(known.status).send(known.toBody())
    },
    clientErrorHandler: answerOnSocket,
  } satisfies FastifyHttpOptions<Server>
}

/** While the server closes, connections that are still open are told to come back. Call before any route is added. */
export function refuseWhileClosing(app: FastifyInstance): void {
  let closing = false
  app.addHook('preClose', async () => void (closing = true))
  app.addHook('onRequest', (_request, reply, done) => {
    if (!closing) return done()
    const known = new PipelineError('NOT_READY')
    void reply.header('connection', 'close').header('retry-after', '5').code(known.status).send(known.toBody())
  })
}

/**
 * Lets the handlers of a scope take as long as they need: without it a connection on which nothing moves is cut, also while
 * its answer is being made. Reading a request and sending its answer have their limits as before.
 */
export function awaitHandlers(scope: FastifyInstance, requestTimeoutMs = 10_000): void {
  const limit = httpOptions(requestTimeoutMs).connectionTimeout
  const allow = ({ raw: { socket } }: FastifyRequest, ms: number): void => {
    // A request that a test injects comes without one.
    if (socket instanceof Socket) socket.setTimeout(ms)
  }
  scope.addHook('preHandler', (request, _reply, done) => {
    allow(request, 0)
    done()
  })
  scope.addHook('onSend', (request, _reply, _payload, done) => {
    allow(request, limit)
    done()
  })
}

/** Answers in our form where no route does; for an app without pages. */
export function refuseUnknown(app: FastifyInstance): void {
  app.setNotFoundHandler(async (_request, reply) => reply.code(404).send(new PipelineError('NOT_FOUND').toBody()))
}
