import { PipelineError } from '@footfall/contracts/errors'
import type { Registry } from '@footfall/registry/registry'
import { createLocalClock, shiftDay } from '@footfall/enrichment/local-time'
import { current } from '@footfall/registry/state'
import {
  metricDefinitions,
  queryLedger,
  queryMetric,
  type MeasuredDeployment,
  type MetricAnswer,
} from '@footfall/store/metrics'
import type { Store } from '@footfall/store/open'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type * as z from 'zod'
import { printCsv, type Cell } from './csv.ts'
import {
  applySchema,
  keySchema,
  ledgerQuerySchema,
  metricQuerySchema,
  retireSchema,
  revokeSchema,
  tokenSchema,
  type CsvHeaders,
} from './api-schemas.ts'
import { openApi } from './openapi.ts'
import type { LedgerExtras } from './web.ts'

export interface ApiParts {
  readonly store: Store
  readonly registry: Registry
  readonly ledgerExtras: (deployment?: string) => Promise<LedgerExtras>
  readonly now: () => number
}

export type Scope = 'admin' | 'read'

/** Reads input by its schema. @throws INVALID_REQUEST that names every field at fault. */
export function readInput<Output>(schema: z.ZodType<Output>, input: unknown): Output {
  const parsed = schema.safeParse(input ?? {})
  if (parsed.success) return parsed.data
  throw new PipelineError(
    'INVALID_REQUEST',
    parsed.error.issues.map((issue) => `${issue.path.join('.') || 'the request'}: ${issue.message}`).join('; '),
  )
}

/**
 * Deployments that a query means: all of them, or those of the ids, organisation and app it names.
 * @throws NOT_FOUND for a name that the registry does not know.
 */
export function selectDeployments(
  registry: Registry,
  query: { deployment?: string | undefined; organisation?: string | undefined; app?: string | undefined },
): MeasuredDeployment[] {
  const state = registry.state()
  const wanted = query.deployment?.split(',')
  const check = (kind: string, known: ReadonlyMap<string, unknown>, ids: readonly string[]): void => {
    for (const id of ids) if (!known.has(id)) throw new PipelineError('NOT_FOUND', `There is no ${kind} "${id}".`)
  }
  check('deployment', state.deployments, wanted ?? [])
  check('organisation', state.organisations, query.organisation === undefined ? [] : [query.organisation])
  check('app', state.apps, query.app === undefined ? [] : [query.app])
  return [...state.deployments.values()]
    .map(current)
    .filter(
      (deployment) =>
        (!wanted || wanted.includes(deployment.id)) &&
        (query.organisation === undefined || deployment.organisation === query.organisation) &&
        (query.app === undefined || deployment.app === query.app),
    )
}

/** What an answer says beside its rows, for a CSV, whose table stays plain; empty: null. */
const csvHeaders = ({ version, unit, data_to, complete, coverage }: MetricAnswer): CsvHeaders => ({
  'x-footfall-version': String(version),
  'x-footfall-unit': unit,
  'x-footfall-data-to': data_to ?? '',
  'x-footfall-complete': String(complete),
  'x-footfall-coverage-visitors': String(coverage.visitors ?? ''),
  'x-footfall-coverage-refused': String(coverage.refused),
  'x-footfall-coverage-days': String(coverage.days),
})

/** The HTTP API of numbers, ledger and registry. `scopeOf` tells what the caller may do; null: nobody we know. */
export function registerApi(
  app: FastifyInstance,
  parts: ApiParts,
  scopeOf: (request: FastifyRequest, reply: FastifyReply) => Scope | null,
): void {
  const { store, registry, now } = parts
  const localTime = createLocalClock()
  // Before a body is read: nobody fills the memory without a token.
  const allow = (needed: Scope) => ({
    onRequest: async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
      const scope = scopeOf(request, reply)
      if (scope === null) throw new PipelineError('UNAUTHORIZED')
      if (needed === 'admin' && scope !== 'admin') throw new PipelineError('FORBIDDEN')
    },
  })
  const reading = allow('read')
  const changing = allow('admin')

  const sendCsv = (reply: FastifyReply, name: string, columns: readonly string[], rows: readonly (readonly Cell[])[]) =>
    reply
      .type('text/csv; charset=utf-8')
      .header('content-disposition', `attachment; filename="${name}.csv"`)
      .send(printCsv(columns, rows))

  app.get('/api/v1/openapi.json', async () => openApi())

  app.get('/api/v1/metrics', reading, async () => {
    return { metrics: metricDefinitions }
  })

  app.get<{ Params: { id: string } }>('/api/v1/metrics/:id', reading, async (request, reply) => {
    const query = readInput(metricQuerySchema, request.query)
    const deployments = selectDeployments(registry, query)
    const today = localTime(deployments[0]?.time_zone ?? 'UTC', now()).day
    const to = query.to ?? today
    const { unconsumed_from: unconsumedFrom = null } = await parts.ledgerExtras()
    const answer = await queryMetric(store, request.params.id, {
      deployments,
      from: query.from ?? shiftDay(to, -29),
      to,
      interval: query.interval,
      dimension: query.dimension,
      limit: query.limit,
      unconsumedFrom,
      now: now(),
    })
    if (query.format === 'json') return answer
    const columns = ['deployment', 'period', 'dimension', 'value', 'n', 'low', 'high', 'reason'] as const
    void reply.headers(csvHeaders(answer))
    return sendCsv(
      reply,
      answer.metric,
      columns,
      answer.rows.map((row) => columns.map((column) => row[column])),
    )
  })

  app.get('/api/v1/ledger', reading, async (request, reply) => {
    const { deployment, format } = readInput(ledgerQuerySchema, request.query)
    if (deployment !== undefined && !registry.state().deployments.has(deployment))
      throw new PipelineError('NOT_FOUND', `There is no deployment "${deployment}".`)
    const { in_log: inLog, in_log_scope: scope, spooled } = await parts.ledgerExtras(deployment)
    const sums = await queryLedger(store, { deployment })
    const ledger = {
      accepted: sums.read + inLog + (spooled ?? 0),
      ...sums,
      in_log: inLog,
      in_log_scope: scope ?? (deployment === undefined ? 'all' : 'deployment'),
      spooled,
      as_of: new Date(now()).toISOString(),
    }
    return format === 'json' ? ledger : sendCsv(reply, 'ledger', Object.keys(ledger), [Object.values(ledger)])
  })

  app.get('/api/v1/registry', reading, async () => {
    const state = registry.state()
    const inUse = <Entity>(entities: Iterable<{ versions: readonly { value: Entity }[]; retiredAt: number | null }>) =>
      [...entities].map(({ versions, retiredAt }) => ({
        ...versions.at(-1)!.value,
        ...(retiredAt === null ? {} : { retired_at: new Date(retiredAt).toISOString() }),
      }))
    return {
      revision: state.revision,
      organisations: inUse(state.organisations.values()),
      apps: inUse(state.apps.values()),
      deployments: inUse(state.deployments.values()).map((deployment) => ({
        ...deployment,
        keys: [...state.keys.values()]
          .filter((key) => key.deployment === deployment.id && key.kind === 'browser' && key.revoked_at === null)
          .map(({ id }) => id),
      })),
    }
  })

  app.post('/api/v1/registry/apply', { ...changing, bodyLimit: 8 * 1024 * 1024 }, async (request) => {
    const body = readInput(applySchema, request.body)
    const result = await registry.apply(body.catalogue, {
      actor: 'api',
      ...(body.base_revision === undefined ? {} : { baseRevision: body.base_revision }),
    })
    return {
      revision: result.revision,
      changes: result.changes,
      unchanged: result.unchanged,
      generated_keys: result.generatedKeys,
    }
  })

  app.post('/api/v1/keys', changing, async (request, reply) => {
    const { deployment } = readInput(keySchema, request.body)
    return reply.code(201).send({ key: await registry.createServerKey(deployment, 'api') })
  })

  app.post('/api/v1/tokens', changing, async (request, reply) => {
    const { scope, days } = readInput(tokenSchema, request.body)
    const { id, secret } = await registry.createToken({ scope, ttlMs: days * 86_400_000, actor: 'api' })
    return reply.code(201).send({ id, token: secret, scope, days })
  })

  app.post('/api/v1/revoke', changing, async (request) => {
    return { revision: await registry.revoke(readInput(revokeSchema, request.body), 'api') }
  })

  app.post('/api/v1/retire', changing, async (request) => {
    const { entity, id } = readInput(retireSchema, request.body)
    return { revision: await registry.retire(entity, id, 'api') }
  })
}
