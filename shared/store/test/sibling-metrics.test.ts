import { expect, test } from 'vitest'
import { metricDefinitions, readMetricSql } from '../src/metrics.ts'
import { findSiblings } from '../src/sibling-metrics.ts'

const source = 'FROM counts(deployments = {deployments:Array(String)})'

test('numbers of the same rows are read by one statement, each from its own columns', () => {
  const siblings = findSiblings(
    new Map([
      ['views', `-- Views.\nSELECT deployment, toString(local_day) AS day, page_views AS numerator\n${source}\n`],
      ['share', `SELECT deployment, toString(local_day) AS day, a + b AS numerator, f(a, b) AS denominator\n${source}`],
      ['other', `SELECT deployment, toString(local_day) AS day, a AS numerator\nFROM visits(x = 1)`],
      ['top', `SELECT deployment, path AS dimension, sum(uses) AS numerator\n${source}`],
    ]),
  )
  const sql = `SELECT deployment, toString(local_day) AS day, page_views AS views_numerator, a + b AS share_numerator, f(a, b) AS share_denominator\n${source}`
  expect(siblings.get('views')).toEqual({ sql, numerator: 'views_numerator', denominator: null })
  expect(siblings.get('share')).toEqual({ sql, numerator: 'share_numerator', denominator: 'share_denominator' })
  expect(siblings.get('other')?.sql).not.toBe(sql)
  expect(siblings.has('top')).toBe(false)
})

test('every daily number has siblings: four statements read them all', () => {
  const siblings = findSiblings(new Map(metricDefinitions.map(({ id }) => [id, readMetricSql(id)])))
  expect([...siblings.keys()]).toEqual(
    expect.arrayContaining(['page_views', 'sessions', 'beacon_loss', 'journeys_started']),
  )
  expect(new Set([...siblings.values()].map(({ sql }) => sql)).size).toBe(4)
})
