import { z95 } from '@footfall/statistics/wilson'
import { findMetric, readMetricSql, type MetricDefinition } from '@footfall/store/metrics'
import type {
  ComparisonPanel,
  DistributionPanel,
  LedgerPanel,
  Panel,
  RankingPanel,
  StatPanel,
  TrendPanel,
} from '../board.ts'

/**
 * The deployments chosen, as an array. `percentencode` is the one format of Grafana that leaves nothing in a value which
 * could end a string of ClickHouse: `singlequote` and `sqlstring` know no backslash. Several values come as `{a,b}`; ids
 * hold neither commas nor braces. Views take constants only, which rules out lambdas and subqueries here.
 */
const deployments = "splitByChar(',', trim(BOTH '{}' FROM decodeURLComponent('${deployment:percentencode}')))"
const oneDeployment = "decodeURLComponent('${deployment:percentencode}')"

/** Boards run in UTC, so that the days somebody picks are the days that are meant, in each deployment's own zone. */
const fromDay = "toDate($__fromTime, 'UTC')"
const toDay = "toDate($__toTime, 'UTC')"
const periodDays = `(${toDay} - ${fromDay} + 1)`
// A view's parameter is put in as text: a Date would arrive as a number.
const asText = (day: string): string => `toString(${day})`
const thisPeriod = { from: asText(fromDay), to: asText(toDay) }
const periodBefore = { from: asText(`${fromDay} - ${periodDays}`), to: asText(`${fromDay} - 1`) }
const bothPeriods = { from: periodBefore.from, to: thisPeriod.to }

/** Values of a dimension a deployment at most, of which the most frequent over all deployments are shown. */
const mostValues = 200

/** Columns that stand beside a number. */
export const columns = {
  now: 'This period',
  before: 'Period before',
  n: 'Out of',
  days: 'Days',
  low: '95% from',
  high: '95% to',
  share: 'Share',
  deployment: 'Deployment',
  where: 'Where',
  events: 'Events',
} as const

const indent = (sql: string, by: number): string => sql.replace(/\n/g, `\n${' '.repeat(by)}`)

/** The SQL of a metric with its parameters written out. @throws when a parameter is not known. */
function expand(metric: string, period: { from: string; to: string } = thisPeriod, deployment = "''"): string {
  const values: Readonly<Record<string, string>> = {
    deployments,
    ...period,
    limit: String(mostValues),
    now: "toUnixTimestamp64Milli(now64(3, 'UTC'))",
    deployment,
  }
  return readMetricSql(metric)
    .replace(/^--.*\n/gm, '')
    .trim()
    .replace(/\{(\w+):[\w()]+\}/g, (_match, name: string) => {
      const value = values[name]
      if (value === undefined) throw new Error(`${metric}: nothing is known of its parameter ${name}`)
      return value
    })
}

const quoteName = (name: string): string => `\`${name}\``
const quoteText = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`

/** Names of the period, for the rest of a statement. */
const period = [
  `${fromDay} AS from_day`,
  `${toDay} AS to_day`,
  'to_day - from_day + 1 AS period_days',
  // A day that has not begun anywhere is no day without visitors.
  "least(to_day, toDate(now(), 'UTC')) AS last_day",
]

/** When measuring began in the earliest of the deployments. */
const firstDay = `(SELECT minOrNull(toDate(day)) FROM (
        ${indent(expand('measured_from'), 8)}
    )) AS first_day`

/** The 95 % Wilson interval of k out of n, as everywhere else. Source: Newcombe, Statistics in Medicine 1998;17:857. */
const wilson = (side: 'low' | 'high'): string => {
  const z = String(z95)
  const centre = `k / n + pow(${z}, 2) / (2 * n)`
  const half = `${z} * sqrt(k / n * (1 - k / n) / n + pow(${z}, 2) / (4 * pow(n, 2)))`
  const whole = `(1 + pow(${z}, 2) / n)`
  return side === 'low'
    ? `(k, n) -> multiIf(n = 0, NULL, k = 0, 0., greatest(0., (${centre} - ${half}) / ${whole})) AS wilson_low`
    : `(k, n) -> multiIf(n = 0, NULL, k = n, 1., least(1., (${centre} + ${half}) / ${whole})) AS wilson_high`
}
const wilsonOf = (definitions: readonly MetricDefinition[]): string[] =>
  definitions.some(({ interval }) => interval) ? [wilson('low'), wilson('high')] : []

const withClause = (parts: readonly string[]): string =>
  parts.length === 0 ? '' : `WITH\n    ${parts.join(',\n    ')}\n`

/** Days of a period in which something was measured. */
const measuredDays = (from: string, to: string): string =>
  `if(first_day IS NULL, 0, greatest(0, dateDiff('day', greatest(${from}, assumeNotNull(first_day)), ${to}) + 1))`

const measured = [
  `${measuredDays('from_day', 'last_day')} AS days_now`,
  `${measuredDays('from_day - period_days', 'from_day - 1')} AS days_before`,
]

interface Sums {
  /** How many days have a row. */
  readonly rows: string
  readonly sum: string
  /** What it is divided by. */
  readonly of: string
  readonly days: string
}

/** A number from its sums: null where nothing was measured, or there is nothing to divide by. */
function valueOf(definition: MetricDefinition, { rows, sum, of, days }: Sums): string {
  switch (definition.combine) {
    case 'sum':
      return `if(${rows} > 0 OR ${days} > 0, toFloat64(${sum}), NULL)`
    case 'mean of days':
      return `if(${days} > 0, ${sum} / ${days}, NULL)`
    case 'ratio':
      return `if(${of} = 0, NULL, ${sum} / ${of})`
  }
}

/** What makes a number readable: out of how many, and the Wilson interval of a share. */
function basisOf(definition: MetricDefinition, { sum, of, days }: Sums): [string, string][] {
  if (definition.combine === 'sum') return []
  if (definition.combine === 'mean of days') return [[`toFloat64(${days})`, columns.days]]
  const counted: [string, string] = [`toFloat64(${of})`, columns.n]
  if (!definition.interval) return [counted]
  return [counted, [`wilson_low(${sum}, ${of})`, columns.low], [`wilson_high(${sum}, ${of})`, columns.high]]
}

const list = (selected: readonly [string, string][], by: number): string =>
  selected.map(([expression, name]) => `${expression} AS ${quoteName(name)}`).join(`,\n${' '.repeat(by)}`)

const hasDenominator = (definition: MetricDefinition): boolean => definition.combine === 'ratio'

/** Sums over the rows of a metric by day, for this period and the one before. */
const sumsOfDays = (definition: MetricDefinition): string =>
  (['now', 'before'] as const)
    .flatMap((when) => {
      const rows = `toDate(day) ${when === 'now' ? '>=' : '<'} from_day`
      return [
        `countIf(${rows}) AS rows_${when}`,
        `sumIf(numerator, ${rows}) AS sum_${when}`,
        `${hasDenominator(definition) ? `sumIf(denominator, ${rows})` : '0'} AS of_${when}`,
      ]
    })
    .join(', ')

const sumsNamed = (when: 'now' | 'before'): Sums => ({
  rows: `rows_${when}`,
  sum: `sum_${when}`,
  of: `of_${when}`,
  days: `days_${when}`,
})

function statSql(panel: StatPanel): string {
  const definition = findMetric(panel.metric)
  if (definition.shape === 'top')
    return `SELECT if(count() = 0, NULL, toFloat64(sum(numerator))) AS ${quoteName(panel.title)}
FROM (
    ${indent(expand(panel.metric), 4)}
)`
  const selected: [string, string][] = [
    [valueOf(definition, sumsNamed('now')), panel.title],
    [valueOf(definition, sumsNamed('before')), columns.before],
    ...basisOf(definition, sumsNamed('now')),
  ]
  return `${withClause([
    ...period,
    ...(hasDenominator(definition) ? [] : [firstDay, ...measured]),
    ...wilsonOf([definition]),
  ])}SELECT
    ${list(selected, 4)}
FROM (
    SELECT ${sumsOfDays(definition)}
    FROM (
        ${indent(expand(panel.metric, bothPeriods), 8)}
    )
)`
}

function trendSql(panel: TrendPanel): string {
  const definition = findMetric(panel.metric)
  const isRate = hasDenominator(definition)
  const measuredOn = (day: string): string => `first_day IS NOT NULL AND ${day} >= assumeNotNull(first_day)`
  return `${withClause([...period, ...(isRate ? [] : [firstDay])])}SELECT
    toDateTime64(bucket, 3, 'UTC') AS time,
    ${list(
      [
        [valueOf(definition, sumsNamed('now')), columns.now],
        [valueOf(definition, sumsNamed('before')), columns.before],
      ],
      4,
    )}
FROM (
    SELECT
        multiIf(period_days <= 100, calendar.date, period_days <= 500, toMonday(calendar.date), toStartOfMonth(calendar.date)) AS bucket,
        sum(counted.rows_now) AS rows_now, sum(counted.sum_now) AS sum_now, sum(counted.of_now) AS of_now,
        sum(counted.rows_before) AS rows_before, sum(counted.sum_before) AS sum_before, sum(counted.of_before) AS of_before,
        ${isRate ? '0' : `countIf(${measuredOn('calendar.date')} AND calendar.date <= last_day)`} AS days_now,
        ${isRate ? '0' : `countIf(${measuredOn('calendar.date - period_days')})`} AS days_before
    FROM (SELECT from_day + number AS date FROM numbers(toUInt64(${periodDays}))) AS calendar
    LEFT JOIN (
        SELECT if(toDate(day) >= from_day, toDate(day), toDate(day) + period_days) AS date, ${sumsOfDays(definition)}
        FROM (
            ${indent(expand(panel.metric, bothPeriods), 12)}
        )
        GROUP BY date
    ) AS counted ON counted.date = calendar.date
    GROUP BY bucket
)
ORDER BY time`
}

/** What an empty value of a dimension means. */
const emptyName = (metric: string): string => (metric === 'top_referrers' ? 'Directly, or not told' : 'Not known')

function rankingSql(panel: RankingPanel): string {
  const definition = findMetric(panel.metric)
  const isRate = hasDenominator(definition)
  const sums: Sums = { rows: '1', sum: 'uses', of: 'trials', days: '0' }
  const selected: [string, string][] = [
    [`if(value = '', ${quoteText(emptyName(panel.metric))}, value)`, panel.of],
    [valueOf(definition, sums), panel.title],
    ...(isRate
      ? basisOf(definition, sums)
      : ([['if(sum(uses) OVER () = 0, NULL, uses / sum(uses) OVER ())', columns.share]] as [string, string][])),
  ]
  return `${withClause(wilsonOf([definition]))}SELECT
    ${list(selected, 4)}
FROM (
    SELECT dimension AS value, sum(numerator) AS uses, ${isRate ? 'sum(denominator)' : '0'} AS trials
    FROM (
        ${indent(expand(panel.metric), 8)}
    )
    GROUP BY value
)
ORDER BY ${isRate ? 'trials' : 'uses'} DESC, value
LIMIT ${panel.limit}`
}

function distributionSql(panel: DistributionPanel): string {
  const scale = panel.scale.map(({ value, label }) => `(${quoteText(value)}, ${quoteText(label)})`).join(', ')
  return `WITH sum(counted.uses) OVER () AS total
SELECT
    ${list(
      [
        ['step.2', panel.of],
        ['toFloat64(counted.uses)', panel.title],
        ['if(total = 0, NULL, counted.uses / total)', columns.share],
      ],
      4,
    )}
FROM (SELECT arrayJoin([${scale}]) AS step) AS scale
LEFT JOIN (
    SELECT dimension, sum(numerator) AS uses
    FROM (
        ${indent(expand(panel.metric), 8)}
    )
    GROUP BY dimension
) AS counted ON counted.dimension = step.1
ORDER BY step.1
LIMIT ${panel.scale.length}`
}

/** A column of a comparison, with the names of what stands beside it made its own. */
export const besideColumn = (title: string, name: string): string => `${title}: ${name.toLowerCase()}`

function comparisonSql(panel: ComparisonPanel): string {
  const parts = panel.columns.map((column, index) => {
    const definition = findMetric(column.metric)
    const own = `c${index}`
    const named = (when: 'now' | 'before'): Sums => ({
      rows: `${own}.rows_${when}`,
      sum: `${own}.sum_${when}`,
      of: `${own}.of_${when}`,
      // Numbers by reason have no days: none was counted, or nothing is known.
      days: definition.shape === 'top' ? '0' : `days_${when}`,
    })
    const selected: [string, string][] = [[valueOf(definition, named('now')), column.title]]
    const isCompared = column.better !== undefined
    if (isCompared && definition.unit === 'count')
      selected.push([valueOf(definition, named('before')), besideColumn(column.title, columns.before)])
    for (const [expression, name] of basisOf(definition, named('now')))
      selected.push([expression, besideColumn(column.title, name)])
    const source =
      definition.shape === 'top'
        ? `SELECT deployment, sum(is_now) AS rows_now, sumIf(numerator, is_now) AS sum_now, 0 AS of_now, sum(NOT is_now) AS rows_before, sumIf(numerator, NOT is_now) AS sum_before, 0 AS of_before
    FROM (
        SELECT deployment, numerator, true AS is_now FROM (
            ${indent(expand(column.metric), 12)}
        )
        UNION ALL
        SELECT deployment, numerator, false AS is_now FROM (
            ${indent(expand(column.metric, periodBefore), 12)}
        )
    )
    GROUP BY deployment`
        : `SELECT deployment, ${sumsOfDays(definition)}
    FROM (
        ${indent(expand(column.metric, isCompared ? bothPeriods : thisPeriod), 8)}
    )
    GROUP BY deployment`
    return { selected, join: `LEFT JOIN (\n    ${source}\n) AS ${own} ON ${own}.deployment = listed.deployment` }
  })
  const definitions = panel.columns.map(({ metric }) => findMetric(metric))
  return `${withClause([
    ...period,
    'if(measured.is_measured = 1, measured.day, NULL) AS first_day',
    ...measured,
    ...wilsonOf(definitions),
  ])}SELECT
    listed.deployment AS ${quoteName(columns.deployment)},
    ${parts.map(({ selected }) => list(selected, 4)).join(',\n    ')}
FROM (SELECT arrayJoin(${deployments}) AS deployment) AS listed
LEFT JOIN (
    SELECT deployment, toDate(day) AS day, 1 AS is_measured
    FROM (
        ${indent(expand('measured_from'), 8)}
    )
) AS measured ON measured.deployment = listed.deployment
${parts.map(({ join }) => join).join('\n')}
WHERE listed.deployment != ''
ORDER BY ${quoteName(panel.columns[0]!.title)} DESC NULLS LAST, ${quoteName(columns.deployment)}
LIMIT 1000`
}

/** Names of the ledger's lines, in their order. */
export const ledgerLines = {
  read: 'Read from the log',
  stored: 'In the numbers’ source',
  deduplicated: 'Second copies left out',
  failed: 'Set aside as failed',
  expired: 'Expired by retention',
  erased: 'Erased on request',
  difference: 'Not accounted for',
} as const

function ledgerSql(_panel: LedgerPanel, scope: 'programme' | 'deployment'): string {
  const sum = (name: string): string => `toFloat64(sum(${name}))`
  const rest = ['stored', 'failed', 'deduplicated', 'expired', 'erased'].map(sum).join(' - ')
  const lines = Object.entries(ledgerLines)
    .map(([name, label]) => `(${quoteText(label)}, ${name === 'difference' ? `${sum('read')} - ${rest}` : sum(name)})`)
    .join(',\n        ')
  return `SELECT line.1 AS ${quoteName(columns.where)}, line.2 AS ${quoteName(columns.events)}
FROM (
    SELECT [
        ${lines}
    ] AS lines
    FROM (
        ${indent(expand('ledger', thisPeriod, scope === 'programme' ? "''" : oneDeployment), 8)}
    )
)
ARRAY JOIN lines AS line, arrayEnumerate(lines) AS place
ORDER BY place
LIMIT ${Object.keys(ledgerLines).length}`
}

/** Up to when everything that was accepted is in the numbers. */
export const freshnessSql = `SELECT if(count() = 0, NULL, toFloat64(max(toInt64(data_to)))) AS ${quoteName('Data to')}
FROM (
    ${indent(expand('data_to'), 4)}
)`

/** The deployments there are: those that ever had an event. The store knows neither their apps nor their organisations. */
export const deploymentsSql = 'SELECT DISTINCT deployment FROM day_marks ORDER BY deployment'

/** A panel's statement for Grafana: the metric's own SQL, and around it what the console does with its rows. */
export function panelSql(panel: Panel, scope: 'programme' | 'deployment'): string {
  switch (panel.shape) {
    case 'stat':
      return statSql(panel)
    case 'trend':
      return trendSql(panel)
    case 'ranking':
      return rankingSql(panel)
    case 'distribution':
      return distributionSql(panel)
    case 'comparison':
      return comparisonSql(panel)
    case 'ledger':
      return ledgerSql(panel, scope)
  }
}
