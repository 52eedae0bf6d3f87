import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { metricDefinitions } from '@footfall/store/metrics'
import { describe, expect, test } from 'vitest'
import { boards } from '../../src/boards.ts'
import { uidOf } from '../../src/grafana/dashboard.ts'
import { boardFiles, boardsDirectory } from '../../src/grafana/files.ts'
import { asGrafana } from './as-grafana.ts'

interface GridPos {
  readonly x: number
  readonly y: number
  readonly w: number
  readonly h: number
}
interface Link {
  readonly url?: string
  readonly type?: string
  readonly tags?: readonly string[]
  readonly placement?: string
}
interface Target {
  readonly datasource: { readonly type: string; readonly uid: string }
  readonly editorType: string
  readonly queryType: string
  readonly format: number
  readonly pluginVersion: string
  readonly rawSql: string
}
interface GrafanaPanel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: GridPos
  readonly datasource?: { readonly uid: string }
  readonly targets?: readonly Target[]
  readonly fieldConfig?: {
    readonly defaults: { readonly unit?: string; readonly noValue?: string }
    readonly overrides: readonly {
      readonly properties: readonly { readonly id: string; readonly value: unknown }[]
    }[]
  }
}
interface GrafanaBoard {
  readonly uid: string
  readonly title: string
  readonly description: string
  readonly schemaVersion: number
  readonly editable: boolean
  readonly timezone: string
  readonly tags: readonly string[]
  readonly links: readonly Link[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly current?: unknown }[] }
  readonly panels: readonly GrafanaPanel[]
}

const emitted = [...boardFiles()]
const parsed = emitted.map(([, json]) => JSON.parse(json) as GrafanaBoard)
const drawn = parsed.flatMap((board) =>
  board.panels.filter(({ targets }) => targets !== undefined).map((panel) => ({ board, panel })),
)
const sqlOf = (panel: GrafanaPanel): string => panel.targets![0]!.rawSql
const where = (board: GrafanaBoard, panel: GrafanaPanel): string => `${board.uid}/${panel.title}`

test('the files in the repository are those that the board definitions give', () => {
  const directory = join(findRoot(), boardsDirectory)
  const kept = readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'utf8')])
  // `npm run grafana` writes them anew.
  expect(new Map(kept as [string, string][])).toEqual(new Map(emitted))
})

test('every board of the console is a board of Grafana, with every panel', () => {
  expect(parsed.map(({ uid, title }) => [uid, title])).toEqual(boards.map((board) => [uidOf(board), board.title]))
  for (const [index, board] of boards.entries()) {
    const titles = parsed[index]!.panels.map(({ title }) => title)
    for (const section of board.sections)
      expect(titles).toEqual(expect.arrayContaining([section.title, ...section.panels.map(({ title }) => title)]))
  }
})

describe('a board', () => {
  test('is one that every supported Grafana reads, and nobody edits by hand', () => {
    expect(new Set(parsed.map(({ uid }) => uid)).size).toBe(parsed.length)
    for (const board of parsed) {
      expect(board).toMatchObject({ schemaVersion: 41, editable: false, timezone: 'utc', tags: ['footfall'] })
      expect(board.uid).toMatch(/^[a-z-]{8,40}$/)
      expect(board).not.toHaveProperty('id')
      expect(board.description.length).toBeGreaterThan(0)
    }
  })

  test('lets the data source and the deployment be chosen', () => {
    for (const { templating } of parsed) {
      expect(templating.list.map(({ name }) => name)).toEqual(['ds', 'deployment'])
      for (const variable of templating.list) expect(variable.current).toBeDefined()
    }
  })

  test('links to boards that there are, in sight', () => {
    const uids = parsed.map(({ uid }) => uid)
    const links = parsed.flatMap((board) => [
      ...board.links,
      ...board.panels.flatMap(({ fieldConfig }) =>
        (fieldConfig?.overrides ?? []).flatMap(({ properties }) =>
          properties.filter(({ id }) => id === 'links').flatMap(({ value }) => value as Link[]),
        ),
      ),
    ])
    for (const link of links) {
      expect(link).not.toHaveProperty('placement')
      if (link.type === 'dashboards') expect(link.tags).toEqual(['footfall'])
      else expect(uids).toContain(/^\/d\/([a-z-]+)\?/.exec(link.url!)![1])
    }
    expect(links.some(({ url }) => url?.startsWith('/d/footfall-deployment?') === true)).toBe(true)
  })

  test('has panels side by side, none on another, each with a number of its own', () => {
    for (const board of parsed) {
      expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length)
      const taken = new Map<string, string>()
      for (const { title, gridPos } of board.panels) {
        expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
            expect(taken.get(`${x} ${y}`), `${board.uid}: ${title}`).toBeUndefined()
            taken.set(`${x} ${y}`, title)
          }
        }
      }
    }
  })
})

describe('a panel', () => {
  test('says what it shows, in which unit, and what it means when there is nothing', () => {
    expect(drawn.length).toBeGreaterThan(40)
    for (const { board, panel } of drawn) {
      expect(panel.title.length, where(board, panel)).toBeGreaterThan(0)
      expect(panel.description!.length, where(board, panel)).toBeGreaterThan(40)
      expect(panel.fieldConfig!.defaults.unit, where(board, panel)).toBeDefined()
      expect(panel.fieldConfig!.defaults.noValue, where(board, panel)).toBeDefined()
    }
  })

  test('carries the definition of its metrics', () => {
    for (const [index, board] of boards.entries()) {
      for (const panel of board.sections.flatMap(({ panels }) => panels)) {
        if (panel.shape === 'ledger') continue
        const metrics = panel.shape === 'comparison' ? panel.columns.map(({ metric }) => metric) : [panel.metric]
        const { description } = parsed[index]!.panels.find(({ title, targets }) => targets && title === panel.title)!
        for (const metric of metrics)
          expect(description).toContain(metricDefinitions.find(({ id }) => id === metric)!.description)
      }
    }
  })

  test('asks the chosen data source one query that its editor leaves as it is', () => {
    for (const { board, panel } of drawn) {
      expect(panel.datasource!.uid, where(board, panel)).toBe('${ds}')
      expect(panel.targets, where(board, panel)).toHaveLength(1)
      expect(panel.targets![0], where(board, panel)).toMatchObject({
        datasource: { type: 'grafana-clickhouse-datasource', uid: '${ds}' },
        editorType: 'sql',
        pluginVersion: '4.20.0',
        ...(panel.type === 'timeseries' ? { queryType: 'timeseries', format: 0 } : { queryType: 'table', format: 1 }),
      })
    }
  })

  test('asks for the range and the deployments that were chosen, unless its number has none', () => {
    for (const { board, panel } of drawn) {
      const sql = sqlOf(panel)
      const hasNoRange = ['Data to', 'Ledger', 'Last 30 minutes'].includes(panel.title)
      expect(sql.includes('$__fromTime') && sql.includes('$__toTime'), where(board, panel)).toBe(!hasNoRange)
      // Of all deployments together, that is: as the console's.
      const isOfAll = panel.title === 'Ledger' && board.uid !== 'footfall-deployment'
      expect(sql.includes('${deployment:percentencode}'), where(board, panel)).toBe(!isOfAll)
    }
  })

  test('asks in an order and not without end, and changes no setting', () => {
    for (const { board, panel } of drawn) {
      const sql = sqlOf(panel)
      if (panel.type === 'timeseries') expect(sql, where(board, panel)).toMatch(/\nORDER BY time$/)
      if (panel.type === 'table' || panel.type === 'barchart')
        expect(sql, where(board, panel)).toMatch(/\nORDER BY .+\nLIMIT \d+$/)
      expect(sql, where(board, panel)).not.toMatch(/\bSETTINGS\b|SELECT \*/)
    }
  })

  test('leaves nothing for Grafana to write out that Grafana does not know', () => {
    for (const { board, panel } of drawn) {
      const sql = asGrafana(sqlOf(panel), { deployment: ['a', 'b'], from: '2026-03-03', to: '2026-03-09' })
      expect(sql, where(board, panel)).not.toMatch(/\$|\{\w+:/)
    }
  })
})
