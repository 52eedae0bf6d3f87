import type { Across } from '@footfall/dashboards/board'
import { wilsonInterval } from '@footfall/statistics/wilson'
import { periodOf, type Interval, type MetricRow } from '@footfall/store/metrics'

/** One number with what makes it readable; null with a reason where it is not defined. */
export type Figure = Pick<MetricRow, 'value' | 'n' | 'low' | 'high' | 'reason'>

/**
 * One figure from those of several deployments. `sum` adds; `pool` weighs by n, and gives a rate that had intervals its
 * own. What is missing is left out; when all is missing, the first reason stands.
 */
export function combine(rows: readonly Figure[], across: Across): Figure {
  const known = rows.filter((row): row is Figure & { value: number } => row.value !== null)
  if (rows.length === 1) return rows[0]!
  if (known.length === 0) return { value: null, reason: rows[0]?.reason ?? 'no_data' }
  if (across === 'sum') return { value: known.reduce((sum, row) => sum + row.value, 0) }
  const trials = known.reduce((sum, row) => sum + (row.n ?? 0), 0)
  if (trials === 0) return { value: null, n: 0, reason: rows[0]?.reason ?? 'no_data' }
  const total = known.reduce((sum, row) => sum + row.value * (row.n ?? 0), 0)
  const isShare = known.some((row) => row.low !== undefined)
  return { value: total / trials, n: trials, ...(isShare ? wilsonInterval(Math.round(total), trials) : null) }
}

/** Figures by period or dimension, in the order they come, each combined over deployments. */
export function combineBy(
  rows: readonly MetricRow[],
  by: 'period' | 'dimension' | 'deployment',
  across: Across,
): Map<string, Figure> {
  const groups = new Map<string, MetricRow[]>()
  for (const row of rows) {
    const name = row[by] ?? ''
    const group = groups.get(name)
    if (group) group.push(row)
    else groups.set(name, [row])
  }
  return new Map([...groups].map(([name, group]) => [name, combine(group, across)]))
}

/**
 * The mean per day of all deployments together, by period: each day's figures added up, then divided by the days that
 * have one, which become n. Sums of means would weigh a deployment of one day like one of thirty.
 * @param rows by day.
 */
export function meanOfDays(rows: readonly MetricRow[], interval: Interval): MetricRow[] {
  const periods = new Map<string, { sum: number; days: Set<string>; reason: string | undefined }>()
  for (const { period: day, value, reason } of rows) {
    const period = periodOf(day, interval)
    let found = periods.get(period)
    if (!found) periods.set(period, (found = { sum: 0, days: new Set(), reason }))
    if (value === null) continue
    found.sum += value
    found.days.add(day)
  }
  return [...periods].map(([period, { sum, days, reason }]) => {
    const head = { deployment: '', period }
    return days.size === 0
      ? { ...head, value: null, reason: reason ?? 'no_data' }
      : { ...head, value: sum / days.size, n: days.size }
  })
}
