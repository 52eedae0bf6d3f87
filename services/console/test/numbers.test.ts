import { wilsonInterval } from '@footfall/statistics/wilson'
import { describe, expect, test } from 'vitest'
import { combine, meanOfDays } from '../src/combine.ts'
import { formatPeriod, formatRange, formatValue } from '../src/format.ts'
import { drawChart } from '../src/render/charts.ts'
import { renderChange } from '../src/render/figures.ts'
import { readPeriod } from '../src/periods.ts'

describe('combining deployments', () => {
  test('counts add up, and what is missing is left out', () => {
    expect(combine([{ value: 2 }, { value: null, reason: 'not_launched' }, { value: 3 }], 'sum')).toEqual({ value: 5 })
  })
  test('rates are weighed by n and get an interval of their own', () => {
    const pooled = combine(
      [
        { value: 0.5, n: 10, low: 0.2, high: 0.8 },
        { value: 1, n: 30, low: 0.9, high: 1 },
      ],
      'pool',
    )
    expect(pooled).toEqual({ value: 35 / 40, n: 40, ...wilsonInterval(35, 40) })
  })
  test('daily visitors are added up day by day: a deployment of one day is not one of thirty', () => {
    const days = Array.from({ length: 30 }, (_, index) => `2026-04-${String(index + 1).padStart(2, '0')}`)
    const rows = [
      ...days.map((period) => ({ deployment: 'a', period, value: 100 })),
      ...days.map((period, index) =>
        index === 29
          ? { deployment: 'b', period, value: 50 }
          : { deployment: 'b', period, value: null, reason: 'not_measured' },
      ),
    ]
    expect(meanOfDays(rows, 'total')).toEqual([{ deployment: '', period: 'total', value: 3050 / 30, n: 30 }])
    expect(meanOfDays(rows.slice(30), 'total')).toMatchObject([{ value: 50, n: 1 }])
    expect(meanOfDays(rows.slice(30), 'week').map(({ period, value, reason }) => [period, value ?? reason])).toEqual([
      ['2026-W14', 'not_measured'],
      ['2026-W15', 'not_measured'],
      ['2026-W16', 'not_measured'],
      ['2026-W17', 'not_measured'],
      ['2026-W18', 50],
    ])
  })
  test('nothing known is null with the reason, never 0', () => {
    expect(
      combine(
        [
          { value: null, reason: 'no_starts' },
          { value: null, reason: 'no_starts' },
        ],
        'pool',
      ),
    ).toEqual({ value: null, reason: 'no_starts' })
    expect(combine([], 'sum')).toEqual({ value: null, reason: 'no_data' })
  })
})

describe('periods', () => {
  const today = '2026-03-15'
  test('the usual one is 30 days up to today, with the 30 before', () => {
    const { period } = readPeriod({}, today)
    expect(period).toMatchObject({
      from: '2026-02-14',
      to: today,
      days: 30,
      preset: '30',
      before: { from: '2026-01-15', to: '2026-02-13' },
    })
  })
  test('long ones have coarser points', () => {
    expect(readPeriod({ period: '365' }, today).period.interval).toBe('week')
    expect(readPeriod({ from: '2024-01-01', to: today }, today).period.interval).toBe('month')
  })
  test.each([
    [{ from: 'yesterday', to: today }, 'not_a_day'],
    [{ from: '2026-02-31', to: today }, 'not_a_day'],
    [{ from: '2026-03-10', to: '2026-03-01' }, 'ends_before'],
    [{ from: '2026-04-01', to: '2026-04-02' }, 'in_future'],
    [{ from: '2010-01-01', to: today }, 'too_long'],
  ] as const)('%j is told as %s and the usual one shown', (query, mistake) => {
    expect(readPeriod(query, today)).toMatchObject({ mistake, period: { preset: '30' } })
  })
  test('a future end becomes today', () => {
    expect(readPeriod({ from: '2026-03-10', to: '2026-05-01' }, today).period).toMatchObject({ to: today, days: 6 })
  })
})

test('numbers read as people write them', () => {
  expect(formatValue(12345, 'count')).toBe('12,345')
  expect(formatValue(4.25, 'count')).toBe('4.3')
  expect(formatValue(0.6337, 'ratio')).toBe('63.4%')
  expect(formatValue(125, 'seconds')).toBe('2 min 5 s')
  expect(formatRange('2025-12-30', '2026-01-02')).toBe('30 Dec 2025 – 2 Jan 2026')
  expect(formatPeriod('2026-W07', 'long')).toBe('Week 7, 2026')
  expect(formatPeriod('2026-02', 'short')).toBe('Feb 2026')
})

test('a change is told in words, and a difference too small to be seen is none', () => {
  const words = (now: number, before: number, unit: 'count' | 'ratio') =>
    renderChange({ value: now }, { value: before }, unit, 'more')
      .markup.replace(/<[^>]+>/g, '')
      .replace(/\s+/g, ' ')
      .trim()
  expect(words(120, 100, 'count')).toMatch(/20\.0% more than 100/)
  expect(words(0.5, 0.55, 'ratio')).toMatch(/5\.0 points down from 55\.0%/)
  expect(words(0.50001, 0.5, 'ratio')).toMatch(/the same as before/)
  expect(words(5, 0, 'count')).toMatch(/nothing to compare with/)
})

test('a chart needs no inline style, follows the page’s colours and is the same each time', async () => {
  const chart = {
    id: 'views',
    title: 'Views <1>',
    summary: 'Up & down',
    labels: ['a', 'b', 'c', 'd'],
    series: { name: 'now', values: [1, null, 3, 4] },
    before: { name: 'before', values: [2, 2, 2, 2] },
    formatValue: String,
    running: true,
  }
  const { markup } = await drawChart(chart)
  expect(markup).not.toMatch(/style=|<style|#0\d0\d0\d/)
  expect(markup).toContain('var(--chart-line)')
  expect(markup).toContain(
    '<title id="views-wide-title">Views &lt;1&gt;</title><desc id="views-wide-desc">Up &amp; down</desc>',
  )
  const ids = [...markup.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)
  expect(new Set(ids).size).toBe(ids.length)
  expect((await drawChart(chart)).markup).toBe(markup)
})
