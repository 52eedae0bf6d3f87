import { spawnSync } from 'node:child_process'
import { findRoot } from '@footfall/config/root'
import { expect, test } from 'vitest'

function promtool(...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { cwd: findRoot(), encoding: 'utf8' })
  if (error) throw new Error('There is no promtool. On Debian: apt-get install -y prometheus', { cause: error })
  return `${status}\n${stdout}${stderr}`
}

test('Prometheus takes its settings and the rules', () => {
  expect(promtool('check', 'config', 'infra/prometheus/prometheus.yml')).toMatch(/^0\n/)
})

test('a quiet day fires no alert, and each fault its own', () => {
  expect(promtool('test', 'rules', 'test/infra/alerts.promtool.yml')).toMatch(/^0\n/)
})
