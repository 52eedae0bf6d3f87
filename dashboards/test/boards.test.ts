import { metricDefinitions } from '@footfall/store/metrics'
import { expect, test } from 'vitest'
import { metricsOf } from '../src/board.ts'
import { boards } from '../src/boards.ts'

const panels = boards.flatMap((board) =>
  board.sections.flatMap((section) => section.panels.map((panel) => ({ board, panel }))),
)

test('every panel names metrics that are defined, in their unit', () => {
  for (const { board, panel } of panels) {
    if (panel.shape === 'ledger') continue
    const columns = panel.shape === 'comparison' ? panel.columns : [panel]
    for (const { metric, unit } of columns) {
      const definition = metricDefinitions.find(({ id }) => id === metric)
      expect(definition?.unit, `${board.id}/${panel.id}: ${metric}`).toBe(unit)
    }
    expect(metricsOf(panel)).toHaveLength(columns.length)
  }
})

test('every figure of several deployments comes about as that of several days does', () => {
  const acrossOf = { sum: 'sum', ratio: 'pool', 'mean of days': 'mean of days' } as const
  for (const { board, panel } of panels) {
    if (panel.shape === 'comparison' || panel.shape === 'ledger') continue
    const { combine } = metricDefinitions.find(({ id }) => id === panel.metric)!
    expect(panel.across, `${board.id}/${panel.id}`).toBe(acrossOf[combine])
  }
})

test('rankings and distributions show dimensions, trends and numbers do not', () => {
  for (const { panel } of panels) {
    if (panel.shape === 'comparison' || panel.shape === 'ledger') continue
    const isTop = metricDefinitions.find(({ id }) => id === panel.metric)?.shape === 'top'
    if (panel.shape === 'trend') expect(isTop, panel.id).toBe(false)
    if (panel.shape === 'ranking' || panel.shape === 'distribution') expect(isTop, panel.id).toBe(true)
  }
})

test('ids are unique within a board, and every panel and board says what it is', () => {
  expect(new Set(boards.map(({ id }) => id)).size).toBe(boards.length)
  for (const board of boards) {
    const ids = board.sections.flatMap((section) => [`section-${section.id}`, ...section.panels.map(({ id }) => id)])
    expect(new Set(ids).size).toBe(ids.length)
    for (const { title, description } of [board, ...board.sections.flatMap((section) => section.panels)]) {
      expect(title.length * description.length).toBeGreaterThan(0)
    }
  }
})
