import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { expect, test } from 'vitest'
import { boardFiles, boardsDirectory } from '../../src/grafana/files.ts'
import { plugin } from '../../src/grafana/query.ts'

const infra = join(findRoot(), 'infra')
const read = (name: string): string => readFileSync(join(infra, name), 'utf8')
const datasource = read('grafana/provisioning/datasources/footfall.yaml')
const valueOf = (name: string): string => new RegExp(`^\\s*(?:- )?${name}: (.+)$`, 'm').exec(datasource)![1]!

test('the data source that is provisioned is the one that the boards begin with', () => {
  for (const [name, json] of boardFiles()) {
    const { templating } = JSON.parse(json) as {
      templating: { list: { name: string; current: object; query: string }[] }
    }
    expect(
      templating.list.find((variable) => variable.name === 'ds'),
      name,
    ).toMatchObject({ query: valueOf('type'), current: { text: valueOf('name'), value: valueOf('uid') } })
  }
})

test('the plugin that is installed is the one that the queries are written for', () => {
  expect(valueOf('type')).toBe(plugin.id)
  expect(read('grafana/grafana.ini')).toContain(`\npreinstall_sync = ${plugin.id}@${plugin.version}\n`)
})

test('the data source is read as a user that ClickHouse has, whose password is in a file', () => {
  const users = read('clickhouse/users.d/footfall.xml')
  expect(users).toContain(`<${valueOf('username')}>`)
  expect(valueOf('password')).toMatch(/^\$__file\{\/run\/secrets\/\w+\}$/)
  // The plugin adds five seconds to its timeout and asks ClickHouse for that.
  const most = Number(/<footfall_boards>[^]*?<max>(\d+)<\/max>/.exec(users)![1])
  expect(Number(valueOf('queryTimeout').replace(/'/g, '')) + 5).toBeLessThanOrEqual(most)
})

test('Grafana begins with a board that there is, in the directory that is provisioned', () => {
  const path = /^\s*path: (.+)$/m.exec(read('grafana/provisioning/dashboards/footfall.yaml'))![1]!
  const home = /^default_home_dashboard_path = (.+)$/m.exec(read('grafana/grafana.ini'))![1]!
  expect(home.startsWith(`${path}/`)).toBe(true)
  expect(existsSync(join(infra, 'grafana/dashboards', home.slice(path.length)))).toBe(true)
  expect(home).toContain('programme-overview')
  expect(readdirSync(join(findRoot(), boardsDirectory, '..'))).toEqual(['Footfall'])
})
