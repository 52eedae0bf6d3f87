import type { Metrics } from '@footfall/telemetry/metrics'
import type { FastifyInstance } from 'fastify'

/**
 * `GET /healthz` (the process answers), `/readyz` (it can do its work) and `/metrics` (Prometheus).
 * @param notReady why the process cannot do its work now; null when it can.
 */
export function healthRoutes(app: FastifyInstance, parts: { metrics: Metrics; notReady: () => string | null }): void {
  app.get('/healthz', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    const reason = parts.notReady()
    return reason === null ? { status: 'ready' } : reply.code(503).send({ status: 'not ready', reason })
  })
  app.get('/metrics', async (_request, reply) =>
    reply.type(parts.metrics.registry.contentType).send(await parts.metrics.registry.metrics()),
  )
}
