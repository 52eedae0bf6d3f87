import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { dropReasons } from '@footfall/contracts/drop-reason'
import { createMetrics } from '@footfall/telemetry/metrics'
import { expect, test } from 'vitest'
import { parse } from 'yaml'

const read = <File>(path: string): File => parse(readFileSync(join(findRoot(), path), 'utf8'), { merge: true }) as File
const { groups } = read<{
  groups: { rules: { alert: string; expr: string; labels: { severity: string }; annotations: { summary: string } }[] }[]
}>('infra/prometheus/alerts.yml')
const rules = groups.flatMap((group) => group.rules)
const { scrape_configs: jobs } = read<{ scrape_configs: { job_name: string }[] }>('infra/prometheus/prometheus.yml')

test('every rule asks for a metric that there is, with labels that it has', async () => {
  const { registry } = createMetrics()
  const metrics = new Map((await registry.getMetricsAsJSON()).map((metric) => [metric.name, metric]))
  expect(rules.length).toBeGreaterThan(10)
  for (const { alert, expr } of rules) {
    const names = [...expr.matchAll(/footfall_\w+/g)].map(([name]) => name)
    // Not ours: whether a target answers, and what node_exporter says of disks.
    if (!/up\{|node_filesystem_/.test(expr)) expect(names, alert).not.toEqual([])
    for (const name of names) {
      const metric = metrics.get(name) ?? metrics.get(name.replace(/_(bucket|sum|count)$/, ''))
      expect(metric, `${alert}: ${name}`).toBeDefined()
      if (name.endsWith('_bucket')) expect(metric).toMatchObject({ type: 'histogram' })
    }
    for (const [, reasons] of expr.matchAll(/reason[!=~]+"([^"]+)"/g))
      for (const reason of reasons!.split('|')) expect(Object.keys(dropReasons), alert).toContain(reason)
  }
})

test('every rule says how urgent it is and what was seen', () => {
  for (const { alert, labels, annotations } of rules) {
    expect(alert).toMatch(/^Footfall[A-Z]/)
    expect(['page', 'ticket']).toContain(labels.severity)
    expect(annotations.summary.length).toBeGreaterThan(20)
  }
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
})

test('every rule asks for jobs that there are', () => {
  const names = ['standalone', ...jobs.map(({ job_name }) => job_name)]
  for (const { alert, expr } of rules)
    for (const [, asked] of expr.matchAll(/job=~?"([^"]+)"/g))
      for (const name of asked!.split('|')) expect(names, alert).toContain(name)
})
