import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dirtyDays, foldDays } from '@footfall/store/fold'
import { ledgerColumns, toDateTime } from '@footfall/store/rows'
import { combine, combineBy, type Figure } from '../../../services/console/src/combine.ts'
import { createAsker, loadBoard, type PanelNumbers } from '../../../services/console/src/load-board.ts'
import { readPeriod } from '../../../services/console/src/periods.ts'
import { insertRecords, makeRecord, startTestEngine, type TestEngine } from '../../../shared/store/test/engine.ts'
import type { Board, Panel } from '../../src/board.ts'
import { boards } from '../../src/boards.ts'
import { besideColumn, columns, deploymentsSql, freshnessSql, ledgerLines, panelSql } from '../../src/grafana/sql.ts'
import { asGrafana, type Chosen } from './as-grafana.ts'

const dayMs = 86_400_000
const minute = 60_000
const noonOf = (day: string): number => Date.parse(`${day}T12:00:00Z`)
const now = Date.parse('2026-03-20T00:00:00Z')
/** No id is like that; a value is text all the same. */
const quoted = "o'hare\\"
const everyone = ['a', 'b', quoted]
const week = { from: '2026-03-03', to: '2026-03-09' }

let engine: TestEngine
beforeAll(async () => {
  engine = await startTestEngine()
  const { store } = engine
  const visit = (deployment: string, day: string, visitor: number, more: object = {}) =>
    makeRecord({ at: noonOf(day) + visitor * minute, deployment, visitor: String(visitor), ...more })
  const journey = { journey: 'pay', name: 'journey_start' }
  const ofDay = (deployment: string, day: string, size: number) => [
    ...Array.from({ length: size }, (_, index) =>
      visit(deployment, day, index + 1, {
        path: `/${index % 4}`,
        browser: index % 2 ? 'Firefox' : 'Chrome',
        device: 'mobile',
        country: index % 3 ? 'FI' : '',
        referrer: index % 2 ? 'example.org' : '',
        page_id: `${deployment}${day}${index}`,
        seq: index % 3,
        clock_corrected: index === 0,
      }),
    ),
    visit(deployment, day, 0),
    visit(deployment, day, 90, { bot: true }),
    ...[5, 4, 2].map((rating, index) => visit(deployment, day, index + 1, { name: 'rating', rating })),
    ...Array.from({ length: size }, (_, index) =>
      visit(deployment, day, index + 1, { ...journey, journey_id: `j${day}${index}` }),
    ),
    visit(deployment, day, 1, { name: 'journey_start', journey: 'move', journey_id: `m${day}` }),
    visit(deployment, day, 2, { ...journey, name: 'journey_complete', outcome: 'completed', journey_id: `j${day}1` }),
  ]
  // `a` is measured before the week and its week before; `b` from the middle of the week; the third on one day only.
  await insertRecords(store, [
    ...['2026-02-20', '2026-02-27', '2026-03-01', '2026-03-03', '2026-03-04', '2026-03-08'].flatMap((day, index) =>
      ofDay('a', day, index + 3),
    ),
    ...['2026-03-05', '2026-03-06'].flatMap((day) => ofDay('b', day, 4)),
    ...ofDay(quoted, '2026-03-06', 2),
  ])
  await foldDays(store, await dirtyDays(store, () => '2026-03-20'), { version: 1 })
  // Days that changed after they were folded, and one that never was: read from their events.
  await insertRecords(store, [...ofDay('a', '2026-03-04', 2), ...ofDay('b', '2026-03-09', 3)])
  await store.insert(
    'refusals',
    ['deployment', 'minute', 'reason', 'refused'],
    [
      ['a', '2026-03-03 10:00:00', 'rate_limited', 7],
      ['a', '2026-02-27 10:00:00', 'rate_limited', 3],
      ['b', '2026-03-04 10:00:00', 'rate_limited', 2],
      ['b', '2026-03-04 10:00:00', 'late', 1],
    ],
    null,
  )
  await store.insert(
    'ledger',
    ledgerColumns,
    everyone.map((deployment, index) => [
      'log',
      0,
      index,
      index + 1,
      deployment,
      500,
      490,
      4,
      6,
      0,
      toDateTime(noonOf(week.to) + index),
    ]),
    null,
  )
})
afterAll(() => engine.close())

type Row = Record<string, string | number | null>
const run = (sql: string, chosen: Chosen): Promise<Row[]> => engine.store.query<Row>(asGrafana(sql, chosen))

const askConsole = (board: Board, chosen: Chosen): Promise<Map<string, PanelNumbers>> => {
  const ids = typeof chosen.deployment === 'string' ? [chosen.deployment] : chosen.deployment
  const asker = createAsker({
    store: engine.store,
    deployments: ids.map((id) => ({ id, time_zone: 'UTC' })),
    ledgerExtras: () => Promise.resolve({ in_log: 0, in_log_scope: 'all', spooled: 0 } as never),
    now,
  })
  return loadBoard(board, readPeriod(chosen, '2026-03-20').period, asker)
}

const rowsOf = (loaded: PanelNumbers['now'][number]) => {
  if (!loaded.answer) throw new Error(loaded.problem)
  return loaded.answer.rows
}
const close = (value: string | number | null | undefined): number | null | undefined =>
  typeof value === 'number' ? Number(value.toFixed(9)) : (value as null | undefined)

/** A figure as a row of Grafana has it: its columns, each where the definition has one. */
function figureColumns(
  title: string,
  figure: Figure,
  n: string,
  name: (column: string) => string = (column) => column,
): Row {
  return {
    [title]: close(figure.value) ?? null,
    ...(figure.n === undefined ? {} : { [name(n)]: figure.n }),
    ...(figure.low === undefined
      ? {}
      : { [name(columns.low)]: close(figure.low)!, [name(columns.high)]: close(figure.high)! }),
  }
}
const basis = (across: string): string => (across === 'mean of days' ? columns.days : columns.n)
const rounded = (row: Row): Row =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, typeof value === 'number' ? close(value)! : value]),
  )
const empty: Figure = { value: null }
/** Columns that say nothing: beside a number that is not there. */
const said = (row: Row): Row =>
  Object.fromEntries(
    Object.entries(row).filter(([name, value]) => value !== null && !(value === 0 && /out of|days/i.test(name))),
  )

function expectSame(panel: Panel, numbers: PanelNumbers, rows: readonly Row[], where: string): void {
  switch (panel.shape) {
    case 'stat': {
      const figure = combine(rowsOf(numbers.now[0]!), panel.across)
      const before = combine(rowsOf(numbers.before[0]!), panel.across)
      const expected = {
        ...figureColumns(panel.title, figure, basis(panel.across)),
        ...(panel.metric === 'live_events' ? {} : { [columns.before]: close(before.value) ?? null }),
      }
      expect(rows.map(rounded).map(said), where).toEqual([said(expected)])
      return
    }
    case 'trend': {
      const earlier = [...combineBy(rowsOf(numbers.before[0]!), 'period', panel.across).values()]
      const expected = [...combineBy(rowsOf(numbers.now[0]!), 'period', panel.across)].map(
        ([day, { value }], index) => ({
          time: `${day} 00:00:00.000`,
          [columns.now]: value,
          [columns.before]: earlier[index]?.value ?? null,
        }),
      )
      expect(rows, where).toEqual(expected)
      return
    }
    case 'ranking': {
      const named = (value: string): string =>
        value !== '' ? value : panel.metric === 'top_referrers' ? 'Directly, or not told' : 'Not known'
      const figures = combineBy(rowsOf(numbers.now[0]!), 'dimension', panel.across)
      const total = [...figures.values()].reduce((sum, { value }) => sum + (value ?? 0), 0)
      const expected = [...figures].map(([value, figure]) => ({
        [panel.of]: named(value),
        ...figureColumns(panel.title, figure, columns.n),
        ...(panel.unit === 'ratio' ? {} : { [columns.share]: close(figure.value! / total)! }),
      }))
      const order = (list: readonly Row[]): Row[] =>
        [...list].sort((left, right) => (String(left[panel.of]) < String(right[panel.of]) ? -1 : 1))
      expect(order(rows.map(rounded).map(said)), where).toEqual(order(expected.map(said)))
      const sizes = rows.map((row) => Number(row[panel.unit === 'ratio' ? columns.n : panel.title]))
      expect(sizes, where).toEqual([...sizes].sort((left, right) => right - left))
      return
    }
    case 'distribution': {
      const counted = combineBy(rowsOf(numbers.now[0]!), 'dimension', panel.across)
      expect(
        rows.map((row) => [row[panel.of], row[panel.title]]),
        where,
      ).toEqual(panel.scale.map(({ value, label }) => [label, counted.get(value)?.value ?? 0]))
      return
    }
    case 'comparison': {
      for (const row of rows) {
        const id = String(row[columns.deployment])
        const expected: Row = { [columns.deployment]: id }
        for (const [index, column] of panel.columns.entries()) {
          const beside = (name: string): string => besideColumn(column.title, name)
          const isMean = column.metric === 'daily_visitors'
          const of = (loaded: PanelNumbers['now'][number]): Figure =>
            combineBy(rowsOf(loaded), 'deployment', 'sum').get(id) ?? empty
          Object.assign(
            expected,
            figureColumns(column.title, of(numbers.now[index]!), isMean ? columns.days : columns.n, beside),
          )
          if (column.better && column.unit === 'count')
            expected[beside(columns.before)] = of(numbers.before[index]!).value
        }
        expect(said(rounded(row)), `${where} ${id}`).toEqual(said(expected))
      }
      return
    }
    case 'ledger': {
      const sums = numbers.ledger!.answer!
      expect(
        rows.map((row) => [row[columns.where], row[columns.events]]),
        where,
      ).toEqual(Object.entries(ledgerLines).map(([name, label]) => [label, sums[name as keyof typeof ledgerLines]]))
      return
    }
  }
}

describe.each<[string, Chosen]>([
  ['one deployment', { deployment: 'a', ...week }],
  ['all', { deployment: everyone, ...week }],
  ['one whose name has a quote and a backslash', { deployment: quoted, ...week }],
  ['days before anything was measured', { deployment: everyone, from: '2020-01-01', to: '2020-01-07' }],
  ['one day', { deployment: ['b'], from: '2026-03-05', to: '2026-03-05' }],
  ['a deployment that there is not', { deployment: 'nowhere', ...week }],
])('for %s', (_name, chosen) => {
  test.each(boards.map((board) => [board.title, board] as const))(
    '%s shows what the console shows',
    async (_title, board) => {
      const numbers = await askConsole(board, chosen)
      const check = async (panel: Panel): Promise<void> => {
        // The ledger is that of one deployment, or of all.
        const isLedger = panel.shape === 'ledger'
        const own =
          isLedger && board.scope === 'deployment' && typeof chosen.deployment !== 'string'
            ? { ...chosen, deployment: chosen.deployment[0]! }
            : isLedger && board.scope === 'programme'
              ? { ...chosen, deployment: everyone }
              : chosen
        const shown = own === chosen ? numbers : await askConsole(board, own)
        expectSame(panel, shown.get(panel.id)!, await run(panelSql(panel, board.scope), own), `${board.id}/${panel.id}`)
      }
      await Promise.all(board.sections.flatMap(({ panels }) => panels).map(check))
    },
  )
})

test('the numbers are those that were put in', async () => {
  const find = (id: string): Panel =>
    boards.flatMap(({ sections }) => sections.flatMap(({ panels }) => panels)).find((panel) => panel.id === id)!
  const all = { deployment: everyone, ...week }
  const [views] = await run(panelSql(find('page-views'), 'programme'), all)
  // a: 6 + 7 + 2 + 8 and four views without a visitor; b: 4 + 4 + 3 and three; the third: 2 and one.
  expect(views).toEqual({ 'Page views': 23 + 4 + 11 + 3 + 2 + 1, 'Period before': 4 + 5 + 2 })
  const [visitors] = await run(panelSql(find('daily-visitors'), 'programme'), all)
  expect(visitors).toMatchObject({ Days: 7 })
  const [rate] = await run(panelSql(find('satisfied'), 'programme'), all)
  expect(rate).toMatchObject({ 'Out of': 24 })
  expect(rate!.Satisfied).toBeCloseTo(2 / 3, 9)
})

test('a long range is shown by the week, and one of years by the month', async () => {
  const panel = boards[0]!.sections[1]!.panels[0]!
  const sql = panelSql(panel, 'programme')
  for (const [from, step] of [
    ['2025-09-10', /^\d{4}-\d\d-\d\d 00:00:00.000$/],
    ['2024-01-01', /^\d{4}-\d\d-01 00:00:00.000$/],
  ] as const) {
    const rows = await run(sql, { deployment: everyone, from, to: '2026-03-09' })
    const times = rows.map(({ time }) => String(time))
    expect(times).toEqual([...new Set(times)].sort())
    for (const time of times) {
      expect(time).toMatch(step)
      if (from === '2025-09-10') expect(new Date(`${time.slice(0, 10)}T00:00:00Z`).getUTCDay()).toBe(1)
    }
    expect(rows.reduce((sum, row) => sum + Number(row[columns.now]), 0)).toBe(23 + 4 + 11 + 3 + 2 + 1 + 3 + 4 + 5 + 3)
  }
})

test('a range that ends in the future takes days that have not begun for no days without visitors', async () => {
  const today = new Date().toISOString().slice(0, 10)
  const later = new Date(Date.now() + 30 * dayMs).toISOString().slice(0, 10)
  const panel = boards[0]!.sections[0]!.panels[1]!
  const [row] = await run(panelSql(panel, 'programme'), { deployment: everyone, from: week.from, to: later })
  expect(row!.Days).toBeLessThanOrEqual((Date.parse(today) + dayMs - Date.parse(week.from)) / dayMs + 1)
  expect(row!.Days).toBeGreaterThan(0)
})

test('the deployments to choose from are those that had events, and the newest of their events is told', async () => {
  const chosen = { deployment: 'b', ...week }
  expect((await run(deploymentsSql, chosen)).map(({ deployment }) => deployment)).toEqual(everyone)
  expect(await run(freshnessSql, chosen)).toEqual([{ 'Data to': noonOf(week.to) + 1 }])
  expect(await run(freshnessSql, { ...chosen, deployment: 'nowhere' })).toEqual([{ 'Data to': null }])
})

test.each(["x') OR 1=1 --", "\\') OR 1=1 -- ", '{a,b}', "a' , '", 'x}{a'])(
  'a value that tries to be SQL is a deployment that there is not: %s',
  async (deployment) => {
    const panel = boards[0]!.sections[0]!.panels[0]!
    const [row] = await run(panelSql(panel, 'programme'), { deployment, ...week })
    const isSeveral = deployment.startsWith('{')
    // Braces and commas name several, as Grafana itself writes them.
    expect(row!['Page views']).toBe(isSeveral ? 23 + 4 + 11 + 3 : null)
  },
)

test('every column is of a type that the plugin turns into a field', async () => {
  for (const board of boards) {
    for (const panel of board.sections.flatMap(({ panels }) => panels)) {
      const sql = asGrafana(panelSql(panel, board.scope), { deployment: everyone, ...week })
      const described = await engine.store.query<{ name: string; type: string }>(`DESCRIBE TABLE (${sql})`)
      const [first, ...numbers] = described
      const where = `${board.id}/${panel.id}`
      if (panel.shape === 'trend') expect(first, where).toMatchObject({ name: 'time', type: "DateTime64(3, 'UTC')" })
      else if (panel.shape !== 'stat') expect(first!.type, where).toBe('String')
      for (const { type } of panel.shape === 'stat' ? described : numbers)
        expect(type, where).toMatch(/^(Nullable\(Float64\)|Float64)$/)
    }
  }
})
