import { catalogueSchema } from '@footfall/contracts/registry'
import { metricDefinitions } from '@footfall/store/metrics'
import * as z from 'zod'
import {
  applyAnswerSchema,
  applySchema,
  csvHeaders,
  errorAnswerSchema,
  keySchema,
  ledgerAnswerSchema,
  ledgerQuerySchema,
  metricAnswerSchema,
  metricQuerySchema,
  retireSchema,
  revokeSchema,
  tokenSchema,
} from './api-schemas.ts'

interface Operation {
  readonly path: string
  readonly method: 'get' | 'post'
  readonly summary: string
  readonly needs: 'nothing' | 'read' | 'admin'
  readonly query?: z.ZodObject
  readonly body?: z.ZodType
  readonly status?: number
  readonly answer: z.ZodType
  /** Answers as CSV too, with what these headers say. */
  readonly csv?: Readonly<Record<string, string>>
}

const revision = z.object({ revision: z.number().int() })

/** Every operation of the API, described by the schemas that its routes read with. */
const operations: readonly Operation[] = [
  {
    path: '/api/v1/openapi.json',
    method: 'get',
    summary: 'This description.',
    needs: 'nothing',
    answer: z.record(z.string(), z.unknown()),
  },
  {
    path: '/api/v1/metrics',
    method: 'get',
    summary: 'Every metric with its definition.',
    needs: 'read',
    answer: z.object({ metrics: z.array(z.record(z.string(), z.unknown())) }),
  },
  {
    path: '/api/v1/metrics/{id}',
    method: 'get',
    summary:
      'A number, by period or dimension. Dates are local to each deployment and both included; default: 30 days up to today.',
    needs: 'read',
    query: metricQuerySchema,
    answer: metricAnswerSchema,
    csv: csvHeaders,
  },
  {
    path: '/api/v1/ledger',
    method: 'get',
    summary: 'Where every accepted event is.',
    needs: 'read',
    query: ledgerQuerySchema,
    answer: ledgerAnswerSchema,
    csv: {},
  },
  {
    path: '/api/v1/registry',
    method: 'get',
    summary: 'Organisations, apps and deployments as they are.',
    needs: 'read',
    answer: z.object({ revision: z.number().int() }).catchall(z.array(z.record(z.string(), z.unknown()))),
  },
  {
    path: '/api/v1/registry/apply',
    method: 'post',
    summary: 'Makes the registry say what a catalogue says; validated whole before anything changes.',
    needs: 'admin',
    body: applySchema.extend({ catalogue: catalogueSchema }),
    answer: applyAnswerSchema,
  },
  {
    path: '/api/v1/keys',
    method: 'post',
    summary: 'A key for servers, told once.',
    needs: 'admin',
    body: keySchema,
    status: 201,
    answer: z.object({ key: z.string() }),
  },
  {
    path: '/api/v1/tokens',
    method: 'post',
    summary: 'A token for this API and the console, told once.',
    needs: 'admin',
    body: tokenSchema,
    status: 201,
    answer: z.object({ id: z.string(), token: z.string(), scope: z.string(), days: z.number().int() }),
  },
  {
    path: '/api/v1/revoke',
    method: 'post',
    summary: 'Revokes a key or a token.',
    needs: 'admin',
    body: revokeSchema,
    answer: revision,
  },
  {
    path: '/api/v1/retire',
    method: 'post',
    summary: 'Takes an entity out of use; its history stays.',
    needs: 'admin',
    body: retireSchema,
    answer: revision,
  },
]

// Refinements (time zones, origins) have no JSON Schema: their description is in the error they give.
const toSchema = (schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> => {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}

const describeHeaders = (headers: Readonly<Record<string, string>>): object =>
  Object.fromEntries(
    Object.entries(headers).map(([name, words]) => [
      name,
      { description: `With format=csv. ${words}`, schema: { type: 'string' } },
    ]),
  )

function describeOperation(operation: Operation): object {
  const query = operation.query ? toSchema(operation.query, 'input') : { properties: {}, required: [] }
  const required = new Set((query.required as string[] | undefined) ?? [])
  const parameters = Object.entries(query.properties as Record<string, { description?: string }>).map(
    ([name, schema]) => ({
      name,
      in: 'query',
      required: required.has(name),
      schema,
    }),
  )
  if (operation.path.includes('{id}')) {
    const ids = metricDefinitions.map(({ id }) => id)
    parameters.unshift({ name: 'id', in: 'path', required: true, schema: { type: 'string', enum: ids } as object })
  }
  return {
    summary: operation.summary,
    ...(operation.needs === 'nothing'
      ? { security: [] }
      : { description: `Needs a token of scope “${operation.needs}”.` }),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(operation.body
      ? {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: toSchema(operation.body, 'input') } },
          },
        }
      : {}),
    responses: {
      [operation.status ?? 200]: {
        description: 'Done.',
        content: {
          'application/json': { schema: toSchema(operation.answer, 'output') },
          ...(operation.csv ? { 'text/csv': { schema: { type: 'string' } } } : {}),
        },
        ...(operation.csv ? { headers: describeHeaders(operation.csv) } : {}),
      },
      default: {
        description: 'Refused, and why.',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
      },
    },
  }
}

/** The API's OpenAPI 3.1 description. */
export function openApi(): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const operation of operations) {
    paths[operation.path] = { ...paths[operation.path], [operation.method]: describeOperation(operation) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Footfall',
      version: '1',
      description: 'Numbers, ledger and registry of civic apps.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: { Error: toSchema(errorAnswerSchema, 'output') },
    },
  }
}
