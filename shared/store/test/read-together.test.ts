import { expect, test } from 'vitest'
import { metricDefinitions, readMetricSql } from '../src/metrics.ts'
import { combine } from '../src/read-together.ts'

const source = 'FROM counts(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})'
const files: Record<string, string> = {
  views: `-- Views.\nSELECT deployment, toString(local_day) AS day, page_views AS numerator\n${source}\n`,
  share: `SELECT deployment, toString(local_day) AS day, a + b AS numerator, f(a, b) AS denominator\n${source}`,
  other: 'SELECT deployment, toString(local_day) AS day, a AS numerator\nFROM visits(x = 1)',
  browsers: readMetricSql('browsers'),
  devices: readMetricSql('devices'),
  refused: 'SELECT deployment, reason AS dimension, sum(refused) AS numerator FROM refusals',
}
const read = (metric: string): string => files[metric]!
const ask = (metric: string, from: string, to: string, deployments = ['one']) => ({
  metric,
  parameters: { deployments, from, to },
})

test('numbers of the same rows are read by one statement, each from its own columns', () => {
  const [views, share] = [ask('views', '2026-01-01', '2026-01-31'), ask('share', '2026-01-01', '2026-01-31')]
  const statements = combine([views, share, ask('other', '2026-01-01', '2026-01-31')], read)
  expect(statements).toHaveLength(2)
  const { sql, parameters, answers } = statements[0]!
  expect(sql).toBe(
    `SELECT deployment, toString(local_day) AS day, page_views AS views_numerator, a + b AS share_numerator, f(a, b) AS share_denominator\n${source}`,
  )
  expect(parameters).toEqual(views.parameters)
  const rows = [
    { deployment: 'one', day: '2026-01-02', views_numerator: '7', share_numerator: '1', share_denominator: '4' },
  ]
  expect(answers.map(({ question, pick }) => [question, pick(rows)])).toEqual([
    [views, [{ deployment: 'one', day: '2026-01-02', numerator: '7' }]],
    [share, [{ deployment: 'one', day: '2026-01-02', numerator: '1', denominator: '4' }]],
  ])
})

test('a period and the one before it are read at once, and each gets its own days', () => {
  const [now, before] = [ask('views', '2026-02-01', '2026-02-28'), ask('views', '2026-01-04', '2026-01-31')]
  const statements = combine([now, before], read)
  expect(statements).toHaveLength(1)
  expect(statements[0]!.parameters).toMatchObject({ from: '2026-01-04', to: '2026-02-28' })
  const rows = ['2026-01-04', '2026-01-31', '2026-02-01', '2026-02-28'].map((day, index) => ({
    deployment: 'one',
    day,
    views_numerator: String(index),
  }))
  const days = new Map(statements[0]!.answers.map(({ question, pick }) => [question, pick(rows).map(({ day }) => day)]))
  expect(days.get(now)).toEqual(['2026-02-01', '2026-02-28'])
  expect(days.get(before)).toEqual(['2026-01-04', '2026-01-31'])
})

test('days between two ranges that nobody asks for are not read, nor those of other deployments', () => {
  const questions = [
    ask('views', '2026-01-01', '2026-01-31'),
    ask('views', '2025-01-01', '2025-12-30'),
    ask('views', '2026-01-01', '2026-01-31', ['two']),
  ]
  expect(combine(questions, read).map(({ parameters }) => [parameters.deployments, parameters.from])).toEqual([
    [['one'], '2025-01-01'],
    [['one'], '2026-01-01'],
    [['two'], '2026-01-01'],
  ])
})

test('values of several dimensions are read by one statement, each under its own name', () => {
  const parameters = { deployments: ['one'], from: '2026-01-01', to: '2026-01-31', limit: 20 }
  const [browsers, devices] = [
    { metric: 'browsers', parameters },
    { metric: 'devices', parameters },
  ]
  const statements = combine([browsers, devices, { ...devices, parameters: { ...parameters, limit: 5 } }], read)
  expect(statements).toHaveLength(2)
  expect(statements[0]!.sql).toContain("dimensions = ['browser', 'device'])")
  const rows = [
    { deployment: 'one', kind: 'device', value: 'phone', numerator: '3' },
    { deployment: 'one', kind: 'browser', value: 'Firefox', numerator: '2' },
  ]
  expect(statements[0]!.answers.map(({ pick }) => pick(rows))).toEqual([
    [{ deployment: 'one', dimension: 'Firefox', numerator: '2' }],
    [{ deployment: 'one', dimension: 'phone', numerator: '3' }],
  ])
})

test('anything else is a statement of its own, sent once for all who ask the same', () => {
  const statements = combine([ask('refused', 'a', 'b'), ask('refused', 'a', 'b'), ask('refused', 'a', 'c')], read)
  expect(statements.map(({ sql, answers }) => [sql, answers.length])).toEqual([
    [files.refused, 2],
    [files.refused, 1],
  ])
})

test('every number of a day and every dimension is read together with others: four statements', () => {
  const parameters = { deployments: ['one'], from: '2026-01-01', to: '2026-01-31', limit: 20 }
  const shared = combine(
    metricDefinitions.map(({ id }) => ({ metric: id, parameters })),
    readMetricSql,
  ).filter(({ answers }) => answers.length > 1)
  const together = shared.flatMap(({ answers }) => answers.map(({ question }) => question.metric))
  expect(shared).toHaveLength(4)
  expect(together).toEqual(
    expect.arrayContaining(['page_views', 'sessions', 'journeys_started', 'top_pages', 'devices']),
  )
})
