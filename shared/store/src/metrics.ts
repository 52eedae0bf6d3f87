import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { PipelineError } from '@footfall/contracts/errors'
import { createLocalClock, shiftDay } from '@footfall/enrichment/local-time'
import { wilsonInterval } from '@footfall/statistics/wilson'
import { metricDefinitions, type MetricDefinition } from '../metrics/definitions.ts'
import type { QueryParameters, Store } from './open.ts'
import { combine, type Question } from './read-together.ts'

export { metricDefinitions, type MetricDefinition }

export const intervals = ['day', 'week', 'month', 'total'] as const
export type Interval = (typeof intervals)[number]

/** What a metric needs to know of a deployment. */
export interface MeasuredDeployment {
  readonly id: string
  readonly time_zone: string
  readonly launched_on?: string | undefined
  readonly retired_on?: string | undefined
}

export interface MetricRequest {
  readonly deployments: readonly MeasuredDeployment[]
  /** Local days, both inclusive. */
  readonly from: string
  readonly to: string
  /** Only `total` for a `top` metric, which is over the whole range. */
  /** A `top` metric is over the whole range whatever it says: its rows name the period `total`. */
  readonly interval: Interval
  /** Of `top` metrics: keeps one value of the dimension. */
  readonly dimension?: string | undefined
  /** Of `top` metrics: values of a dimension a deployment at most; default 20. */
  readonly limit?: number | undefined
  /** When the oldest event that is accepted and not yet in the store was accepted, Unix milliseconds; null: none waits. */
  readonly unconsumedFrom: number | null
  /** Unix milliseconds. */
  readonly now: number
}

export interface MetricRow {
  readonly deployment: string
  /** YYYY-MM-DD, YYYY-Www, YYYY-MM or total. */
  readonly period: string
  readonly dimension?: string
  /** null with a reason where the number is not defined. */
  readonly value: number | null
  /** What it was divided by; for daily_visitors the number of days. */
  readonly n?: number
  /** 95 % Wilson interval. */
  readonly low?: number
  readonly high?: number
  readonly reason?: string
}

export interface MetricAnswer {
  readonly metric: string
  readonly version: number
  readonly unit: string
  /** Everything accepted up to then, for whichever deployment, is in the numbers; ISO time, null before the first event. */
  readonly data_to: string | null
  /**
   * The range is over for every deployment, and nothing accepted before its end waits to be counted. A completion counts
   * until the end of the day after its start: numbers of journeys need that day too.
   */
  readonly complete: boolean
  /** Share of page views whose visitor is known; events refused: the range is undercounted by at least so many; days with data. */
  readonly coverage: { readonly visitors: number | null; readonly refused: number; readonly days: number }
  readonly rows: readonly MetricRow[]
}

const longestRangeDays = 1_100
const texts = new Map<string, string>()
const localTime = createLocalClock()

/** The SQL of a metric. */
export function readMetricSql(id: string): string {
  let text = texts.get(id)
  if (text === undefined) {
    text = readFileSync(join(findRoot(), 'shared/store/metrics', `${id}.sql`), 'utf8')
    texts.set(id, text)
  }
  return text
}

/** @throws NOT_FOUND */
export function findMetric(id: string): MetricDefinition {
  const found = metricDefinitions.find((definition) => definition.id === id)
  if (!found) throw new PipelineError('NOT_FOUND', `There is no metric "${id}"; GET /api/v1/metrics lists them.`)
  return found
}

const isDay = (text: string): boolean =>
  /^\d{4}-\d{2}-\d{2}$/.test(text) &&
  !Number.isNaN(Date.parse(`${text}T00:00:00Z`)) &&
  new Date(`${text}T00:00:00Z`).toISOString().startsWith(text)

const daysBetween = (from: string, to: string): number =>
  Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / 86_400_000) + 1

/** ISO 8601 week of a day, `2026-W01`. */
function isoWeek(day: string): string {
  const date = new Date(`${day}T00:00:00Z`)
  // The week belongs to the year of its Thursday.
  date.setUTCDate(date.getUTCDate() + 4 - (date.getUTCDay() || 7))
  const week = Math.ceil(((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000 + 1) / 7)
  return `${date.getUTCFullYear()}-W${String(week).padStart(2, '0')}`
}

/** The period that a day belongs to. */
export function periodOf(day: string, interval: Interval): string {
  switch (interval) {
    case 'day':
      return day
    case 'week':
      return isoWeek(day)
    case 'month':
      return day.slice(0, 7)
    case 'total':
      return 'total'
  }
}

/** @throws INVALID_REQUEST that names the parameter. */
function checkRequest(definition: MetricDefinition, request: MetricRequest): void {
  for (const name of ['from', 'to'] as const) {
    if (!isDay(request[name])) throw new PipelineError('INVALID_REQUEST', `${name}: must be a day such as 2026-01-31.`)
  }
  if (request.from > request.to) throw new PipelineError('INVALID_REQUEST', 'from: is after to.')
  if (daysBetween(request.from, request.to) > longestRangeDays)
    throw new PipelineError('INVALID_REQUEST', `to: at most ${longestRangeDays} days at once.`)
  if (!intervals.includes(request.interval))
    throw new PipelineError('INVALID_REQUEST', `interval: must be one of ${intervals.join(', ')}.`)
  if (
    request.limit !== undefined &&
    !(Number.isInteger(request.limit) && request.limit >= 1 && request.limit <= 1_000)
  ) {
    throw new PipelineError('INVALID_REQUEST', 'limit: must be a whole number from 1 to 1,000.')
  }
  const withDimension = metricDefinitions.filter(({ shape }) => shape === 'top').map(({ id }) => id)
  for (const name of ['dimension', 'limit'] as const) {
    if (request[name] !== undefined && definition.shape !== 'top')
      throw new PipelineError(
        'INVALID_REQUEST',
        `${name}: ${definition.id} has no dimension; these have one: ${withDimension.join(', ')}.`,
      )
  }
}

interface DayRow {
  deployment: string
  day?: string
  dimension?: string
  numerator: string | number
  denominator?: string | number
}

/** A value from its sums, with what makes it readable. */
function toValue(
  definition: MetricDefinition,
  numerator: number,
  denominator: number,
): Pick<MetricRow, 'value' | 'n' | 'low' | 'high' | 'reason'> {
  if (definition.combine === 'sum') return { value: numerator }
  if (denominator === 0) return { value: null, n: 0, reason: definition.reason ?? 'no_data' }
  const value = numerator / denominator
  const bounds = definition.interval ? wilsonInterval(numerator, denominator) : null
  return { value, n: denominator, ...(bounds ?? {}) }
}

/**
 * Why a deployment has no value on a day; null when it is measured then.
 * @param firstDay with events. Measuring begins with it, or with the launch when that was earlier.
 */
function absence(
  deployment: MeasuredDeployment,
  day: string,
  today: string,
  firstDay: string | undefined,
): string | null {
  const { launched_on: launchedOn, retired_on: retiredOn } = deployment
  if (day > today) return 'future'
  if (retiredOn !== undefined && day > retiredOn) return 'retired'
  const begins = [launchedOn, firstDay].filter((begin) => begin !== undefined).sort()[0]
  if (begins !== undefined && day >= begins) return null
  return launchedOn === undefined ? 'not_measured' : 'not_launched'
}

/** Fills every period of every deployment: a count of nothing is 0, what cannot be said is null with a reason. */
function toSeries(
  definition: MetricDefinition,
  request: MetricRequest,
  rows: readonly DayRow[],
  firstDays: ReadonlyMap<string, string>,
): MetricRow[] {
  const byDay = new Map(rows.map((row) => [`${row.deployment} ${row.day}`, row]))
  const result: MetricRow[] = []
  for (const deployment of request.deployments) {
    const today = localTime(deployment.time_zone, request.now).day
    const periods = new Map<string, { numerator: number; denominator: number; days: number; reason: string | null }>()
    for (let day = request.from; day <= request.to; day = shiftDay(day, 1)) {
      const period = periodOf(day, request.interval)
      let sums = periods.get(period)
      if (!sums) periods.set(period, (sums = { numerator: 0, denominator: 0, days: 0, reason: null }))
      const row = byDay.get(`${deployment.id} ${day}`)
      const reason = row ? null : absence(deployment, day, today, firstDays.get(deployment.id))
      if (reason !== null) {
        sums.reason ??= reason
        continue
      }
      sums.days++
      sums.numerator += Number(row?.numerator ?? 0)
      sums.denominator += Number(row?.denominator ?? 0)
    }
    for (const [period, { numerator, denominator, days, reason }] of periods) {
      const head = { deployment: deployment.id, period }
      if (days === 0) result.push({ ...head, value: null, reason: reason ?? 'no_data' })
      else if (definition.combine === 'mean of days') result.push({ ...head, value: numerator / days, n: days })
      else result.push({ ...head, ...toValue(definition, numerator, denominator) })
    }
  }
  return result
}

const toTop = (definition: MetricDefinition, request: MetricRequest, rows: readonly DayRow[]): MetricRow[] =>
  rows
    .filter((row) => request.dimension === undefined || row.dimension === request.dimension)
    .map((row) => ({
      deployment: row.deployment,
      period: 'total',
      dimension: row.dimension ?? '',
      ...toValue(definition, Number(row.numerator), Number(row.denominator ?? 0)),
    }))

interface Asked extends Question {
  readonly resolve: (rows: unknown[]) => void
  readonly reject: (error: unknown) => void
}

const waiting = new WeakMap<Store, Asked[]>()

/** Sends what was asked for together, in as few statements as it takes. */
function askTogether(store: Store, asked: readonly Asked[]): void {
  for (const { sql, parameters, answers } of combine(asked, readMetricSql)) {
    store.query<Record<string, string>>(sql, parameters, { max_execution_time: 30 }).then(
      (rows) => {
        for (const { question, pick } of answers) question.resolve(pick(rows))
      },
      (error: unknown) => {
        for (const { question } of answers) question.reject(error)
      },
    )
  }
}

/** A metric's rows. What a board's panels ask for at the same time is read together. */
function readRows<Row>(store: Store, metric: string, parameters: QueryParameters): Promise<Row[]> {
  return new Promise((resolve, reject) => {
    const asked = { metric, parameters, resolve: resolve as (rows: unknown[]) => void, reject }
    const others = waiting.get(store)
    if (others) {
      others.push(asked)
      return
    }
    const together: Asked[] = [asked]
    waiting.set(store, together)
    setImmediate(() => {
      waiting.delete(store)
      askTogether(store, together)
    })
  })
}

/**
 * Answers a published number for some deployments and a range of local days.
 * @throws NOT_FOUND, INVALID_REQUEST naming the parameter, STORE_UNAVAILABLE.
 */
export async function queryMetric(store: Store, id: string, request: MetricRequest): Promise<MetricAnswer> {
  const definition = findMetric(id)
  checkRequest(definition, request)
  const all = { deployments: request.deployments.map((deployment) => deployment.id) }
  const parameters: QueryParameters = { ...all, from: request.from, to: request.to }
  const isTop = definition.shape === 'top'
  const own =
    definition.id === 'live_events'
      ? { ...all, now: request.now }
      : isTop
        ? { ...parameters, limit: request.dimension === undefined ? (request.limit ?? 20) : 100_000 }
        : parameters
  const none = request.deployments.length === 0
  const [rows, coverageRows, refusedRows, dataRows, firstDayRows] = none
    ? [[], [], [], [], []]
    : await Promise.all([
        readRows<DayRow>(store, definition.id, own),
        definition.id === 'visitor_coverage'
          ? Promise.resolve(null)
          : readRows<DayRow>(store, 'visitor_coverage', parameters),
        readRows<DayRow>(store, 'refused_events', { ...parameters, limit: 1_000 }),
        readRows<{ deployment: string; data_to: string }>(store, 'data_to', all),
        isTop ? [] : readRows<{ deployment: string; day: string }>(store, 'measured_from', all),
      ])
  const covered = coverageRows ?? rows
  const sum = (list: readonly DayRow[], field: 'numerator' | 'denominator'): number =>
    list.reduce((total, row) => total + Number(row[field] ?? 0), 0)
  const views = sum(covered, 'denominator')
  // What was accepted before this moment is in the store. Where nothing waits, that holds for the quiet deployments too.
  const storedTo = Math.min(request.unconsumedFrom ?? request.now, request.now)
  const newest = dataRows.reduce((latest, row) => Math.max(latest, Number(row.data_to)), 0)
  const dataTo = Math.min(newest, storedTo)
  const lastDay = shiftDay(request.to, definition.ofJourneys ? 1 : 0)
  return {
    metric: definition.id,
    version: definition.version,
    unit: definition.unit,
    data_to: dataTo > 0 ? new Date(dataTo).toISOString() : null,
    complete: !none && request.deployments.every(({ time_zone }) => lastDay < localTime(time_zone, storedTo).day),
    coverage: {
      visitors: views === 0 ? null : sum(covered, 'numerator') / views,
      refused: sum(refusedRows, 'numerator'),
      days: new Set(covered.map((row) => row.day)).size,
    },
    rows: isTop
      ? toTop(definition, request, rows)
      : toSeries(definition, request, rows, new Map(firstDayRows.map(({ deployment, day }) => [deployment, day]))),
  }
}

/** What became of every accepted event that was read from the log. */
export interface LedgerSums {
  readonly read: number
  readonly stored: number
  readonly failed: number
  readonly deduplicated: number
  readonly expired: number
  readonly erased: number
  /** 0 when everything adds up: read − stored − failed − deduplicated − expired − erased. */
  readonly difference: number
}

/** Sums the ledger, `stored` and `failed` counted from the tables themselves. */
export async function queryLedger(
  store: Store,
  options: { deployment?: string | undefined } = {},
): Promise<LedgerSums> {
  const rows = await store.query<Record<'read' | 'stored' | 'failed' | 'deduplicated' | 'expired' | 'erased', string>>(
    readMetricSql('ledger'),
    {
      deployment: options.deployment ?? '',
    },
  )
  const total = (name: keyof (typeof rows)[number]): number => rows.reduce((sum, row) => sum + Number(row[name]), 0)
  const [read, stored, failed, deduplicated, expired, erased] = [
    total('read'),
    total('stored'),
    total('failed'),
    total('deduplicated'),
    total('expired'),
    total('erased'),
  ]
  return {
    read,
    stored,
    failed,
    deduplicated,
    expired,
    erased,
    difference: read - stored - failed - deduplicated - expired - erased,
  }
}
