import { intervals } from '@footfall/store/metrics'
import * as z from 'zod'

const day = z.iso.date('must be a day such as 2026-01-31')
/** Query of a number; dates are local days, both inclusive. */
export const metricQuerySchema = z.strictObject({
  deployment: z.string().max(2_000).optional(),
  organisation: z.string().max(200).optional(),
  app: z.string().max(200).optional(),
  from: day.optional(),
  to: day.optional(),
  interval: z
    .enum(intervals)
    .default('total')
    .describe('Metrics of shape top are over the whole range: their period is total whatever this says.'),
  dimension: z.string().max(1_024).optional().describe('Only for metrics of shape top: keeps this value.'),
  limit: z.coerce.number().int().min(1).max(1_000).optional().describe('Only for metrics of shape top; default 20.'),
  format: z.enum(['json', 'csv']).default('json'),
})
export const ledgerQuerySchema = z.strictObject({
  deployment: z.string().max(200).optional(),
  format: z.enum(['json', 'csv']).default('json'),
})
export const applySchema = z.strictObject({ catalogue: z.unknown(), base_revision: z.number().int().optional() })
export const keySchema = z.strictObject({ deployment: z.string() })
export const tokenSchema = z.strictObject({
  scope: z.enum(['admin', 'read']),
  days: z.number().int().min(1).max(730).default(90),
})
export const retireSchema = z.strictObject({ entity: z.enum(['organisation', 'app', 'deployment']), id: z.string() })
export const revokeSchema = z.union([z.strictObject({ key: z.string() }), z.strictObject({ token: z.string() })])

/** What the numbers API answers. */
export const metricAnswerSchema = z.object({
  metric: z.string(),
  version: z.number().int(),
  unit: z.enum(['count', 'ratio', 'rating', 'seconds', 'per session']),
  data_to: z.iso.datetime().nullable().describe('Everything accepted up to then is in the numbers.'),
  complete: z
    .boolean()
    .describe(
      'The range is over (for numbers of journeys also the day after it) and nothing accepted before its end waits to be counted.',
    ),
  coverage: z.object({
    visitors: z.number().nullable().describe('Share of page views whose visitor is known.'),
    refused: z
      .number()
      .int()
      .describe('Events refused in the range: the numbers are undercounted by at least as many.'),
    days: z.number().int().describe('Days with data.'),
  }),
  rows: z.array(
    z.object({
      deployment: z.string(),
      period: z.string().describe('YYYY-MM-DD, YYYY-Www, YYYY-MM or total.'),
      dimension: z.string().optional(),
      value: z.number().nullable(),
      n: z.number().optional().describe('What was divided by; for daily_visitors the number of days.'),
      low: z.number().optional().describe('Lower end of the 95 % Wilson interval.'),
      high: z.number().optional(),
      reason: z.string().optional().describe('Why there is no value.'),
    }),
  ),
})
/** What a CSV answer says beside its table. */
export const csvHeaders = {
  'x-footfall-version': 'Version of the metric.',
  'x-footfall-unit': 'Unit of its values.',
  'x-footfall-data-to': 'As data_to; empty: no data.',
  'x-footfall-complete': 'As complete: true or false.',
  'x-footfall-coverage-visitors': 'As coverage.visitors; empty: no page views.',
  'x-footfall-coverage-refused': 'As coverage.refused.',
  'x-footfall-coverage-days': 'As coverage.days.',
} as const
export type CsvHeaders = Record<keyof typeof csvHeaders, string>

const count = z.number().int()
export const ledgerAnswerSchema = z.object({
  accepted: count.describe('Durable in the log, whether or not the answer arrived.'),
  read: count,
  stored: count,
  failed: count,
  deduplicated: count,
  expired: count,
  erased: count,
  difference: count.describe('0 when everything adds up.'),
  in_log: count.describe('Not consumed yet.'),
  in_log_scope: z
    .enum(['deployment', 'all'])
    .describe('Whose in_log is: of all deployments too when more than 100,000 events wait to be told apart.'),
  spooled: count
    .nullable()
    .describe(
      'Accepted and not in the log yet; null where each ingest alone knows: footfall_spool_records. Not in accepted then.',
    ),
  as_of: z.iso.datetime(),
})
export const applyAnswerSchema = z.object({
  revision: count,
  changes: count,
  unchanged: count,
  generated_keys: z.array(z.object({ deployment: z.string(), key: z.string() })),
})
export const errorAnswerSchema = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.string() }),
})
