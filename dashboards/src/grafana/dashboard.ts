import { createHash } from 'node:crypto'
import * as barchart from '@grafana/grafana-foundation-sdk/barchart'
import type * as cog from '@grafana/grafana-foundation-sdk/cog'
import * as common from '@grafana/grafana-foundation-sdk/common'
import * as grafana from '@grafana/grafana-foundation-sdk/dashboard'
import * as stat from '@grafana/grafana-foundation-sdk/stat'
import * as table from '@grafana/grafana-foundation-sdk/table'
import * as text from '@grafana/grafana-foundation-sdk/text'
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'
import { findMetric } from '@footfall/store/metrics'
import type { Across, Board, Column, Panel, Unit, Width } from '../board.ts'
import { normalise } from './normalise.ts'
import { clickHouseQuery, datasource, plugin } from './query.ts'
import { besideColumn, columns, deploymentsSql, freshnessSql, panelSql } from './sql.ts'

/** Names a board in addresses, for ever. */
export const uidOf = (board: Board): string => `footfall-${board.id}`

const spans: Readonly<Record<Width, number>> = { quarter: 6, third: 8, half: 12, full: 24 }
const heights: Readonly<Record<Panel['shape'], number>> = {
  stat: 6,
  trend: 9,
  ranking: 10,
  distribution: 9,
  comparison: 12,
  ledger: 10,
}

/** The same number as long as the panel has its name: addresses of single panels and pictures hold it. */
const idOf = (name: string): number => createHash('sha256').update(name).digest().readUIntBE(0, 3) + 1

/** How a unit is written in Grafana. */
function unitOf(unit: Unit, across?: Across): { unit: string; decimals: number; min?: number; max?: number } {
  switch (unit) {
    case 'count':
      return { unit: 'locale', decimals: across === 'mean of days' ? 1 : 0, min: 0 }
    case 'ratio':
      return { unit: 'percentunit', decimals: 1, min: 0, max: 1 }
    case 'rating':
      return { unit: 'none', decimals: 2, min: 1, max: 5 }
    case 'seconds':
      return { unit: 's', decimals: 0, min: 0 }
    case 'per session':
      return { unit: 'none', decimals: 1, min: 0 }
  }
}
const countUnit = { unit: 'locale', decimals: 0 }
const ratioUnit = { unit: 'percentunit', decimals: 1 }

const acrossOf = (metric: string): Across => {
  const { combine } = findMetric(metric)
  return combine === 'ratio' ? 'pool' : combine
}

/** Why there is no number, in words. */
const reasons: Readonly<Record<string, string>> = {
  no_sessions: 'No visits to divide by',
  no_starts: 'No journey was started',
  no_completions: 'No journey was completed',
  no_ratings: 'Nobody gave a rating',
  no_events: 'No events',
  no_views: 'No page views',
  no_numbered_events: 'No event carried a running number',
}
function noValueOf(metric: string): string {
  const { reason } = findMetric(metric)
  if (reason === undefined) return 'Nothing was measured'
  const words = reasons[reason]
  if (words === undefined) throw new Error(`${metric}: there are no words for ${reason}`)
  return words
}

/** What is counted, for whoever asks what a number means. */
function definitionOf(metric: string): string {
  const { title, description, inclusions, exclusions, source, id, version } = findMetric(metric)
  return `**${title}**: ${description}\n\nIncluded: ${inclusions}\n\nLeft out: ${exclusions}\n\nSource: ${source}; \`${id}\`, version ${version}.`
}

const ledgerDefinition =
  'Read from the log = in the numbers’ source + second copies + failed + expired + erased. What still waits in the log is not in the store and not in here; the console shows it. Refused events were never accepted.'

function descriptionOf(panel: Panel): string {
  switch (panel.shape) {
    case 'comparison':
      return [panel.description, ...panel.columns.map(({ metric }) => definitionOf(metric))].join('\n\n')
    case 'ledger':
      return `${panel.description}\n\n${ledgerDefinition}`
    case 'stat':
    case 'trend':
    case 'ranking':
    case 'distribution':
      return `${panel.description}\n\n${definitionOf(panel.metric)}`
  }
}

type Properties = grafana.DynamicConfigValue[]
const properties = (values: Readonly<Record<string, unknown>>): Properties =>
  Object.entries(values).map(([id, value]) => ({ id, value }))

/** Below this share of views with a visitor, visitor numbers say little. */
const littleCoverage = 0.9
const thresholds = (steps: grafana.Threshold[]): grafana.ThresholdsConfigBuilder =>
  new grafana.ThresholdsConfigBuilder().mode(grafana.ThresholdsMode.Absolute).steps(steps)
const plain = [{ value: null, color: 'text' }]
const stepsOf = (metric: string): grafana.Threshold[] =>
  metric === 'visitor_coverage'
    ? [
        { value: null, color: 'orange' },
        { value: littleCoverage, color: 'text' },
      ]
    : plain

/** Columns that rest beside a number, each in its own unit. */
function besideUnits(metric: string, name: (column: string) => string): [string, Properties][] {
  const own = findMetric(metric)
  return [
    [name(columns.before), properties(unitOf(own.unit, acrossOf(metric)))],
    [name(columns.n), properties(countUnit)],
    [name(columns.days), properties(countUnit)],
    [name(columns.low), properties(ratioUnit)],
    [name(columns.high), properties(ratioUnit)],
  ]
}

type AnyBuilder = stat.PanelBuilder | table.PanelBuilder | timeseries.PanelBuilder | barchart.PanelBuilder

/** What every panel has, whatever it looks like. */
function withBasics<Builder extends AnyBuilder>(
  builder: Builder,
  options: {
    name: string
    title: string
    description: string
    sql: string
    queryType: 'table' | 'timeseries'
    noValue: string
    position: grafana.GridPos
    unit: ReturnType<typeof unitOf>
  },
): Builder {
  const { unit, decimals, min, max } = options.unit
  builder
    .id(idOf(options.name))
    .title(options.title)
    .description(options.description)
    .datasource(datasource)
    .gridPos(options.position)
    .noValue(options.noValue)
    .unit(unit)
    .decimals(decimals)
    .thresholds(thresholds(plain))
    .withTarget(clickHouseQuery(options.sql, options.queryType))
  if (min !== undefined) builder.min(min)
  if (max !== undefined) builder.max(max)
  return builder
}

function override(builder: AnyBuilder, overrides: readonly [string, Properties][]): void {
  for (const [name, values] of overrides) builder.overrideByName(name, values)
}

/** A bar within the cell, as long as its part of the largest or of the whole. */
const barCell: common.TableCellOptions = {
  type: common.TableCellDisplayMode.Gauge,
  mode: common.BarGaugeDisplayMode.Basic,
  valueDisplayMode: common.BarGaugeValueMode.Text,
}

const boardLink = (uid: string): string => `/d/${uid}?var-deployment=\${__value.raw:percentencode}&\${__url_time_range}`

function drawPanel(
  panel: Panel,
  board: Board,
  deploymentUid: string,
  position: grafana.GridPos,
): cog.Builder<grafana.Panel> {
  const base = {
    name: panel.id,
    title: panel.title,
    description: descriptionOf(panel),
    sql: panelSql(panel, board.scope),
    queryType: 'table' as const,
    position,
  }
  switch (panel.shape) {
    case 'stat': {
      const drawn = withBasics(new stat.PanelBuilder(), {
        ...base,
        noValue: noValueOf(panel.metric),
        unit: unitOf(panel.unit, panel.across),
      })
        .thresholds(thresholds(stepsOf(panel.metric)))
        .graphMode(common.BigValueGraphMode.None)
        .colorMode(common.BigValueColorMode.Value)
        .textMode(common.BigValueTextMode.ValueAndName)
        .orientation(common.VizOrientation.Horizontal)
        .reduceOptions(new common.ReduceDataOptionsBuilder().values(false).calcs(['lastNotNull']).fields(''))
      override(
        drawn,
        besideUnits(panel.metric, (column) => column).map(([name, values]) => [
          name,
          [...values, ...properties({ thresholds: { mode: 'absolute', steps: plain } })],
        ]),
      )
      return drawn
    }
    case 'trend': {
      const drawn = withBasics(new timeseries.PanelBuilder(), {
        ...base,
        queryType: 'timeseries',
        noValue: noValueOf(panel.metric),
        unit: unitOf(panel.unit, panel.across),
      })
        .legend(
          new common.VizLegendOptionsBuilder()
            .showLegend(true)
            .displayMode(common.LegendDisplayMode.List)
            .placement(common.LegendPlacement.Bottom),
        )
        .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi))
        .lineWidth(2)
        .showPoints(common.VisibilityMode.Auto)
        .spanNulls(false)
      override(drawn, [[columns.before, properties({ 'custom.lineStyle': { fill: 'dash', dash: [8, 6] } })]])
      return drawn
    }
    case 'ranking': {
      const own = unitOf(panel.unit, panel.across)
      const drawn = withBasics(new table.PanelBuilder(), {
        ...base,
        noValue: noValueOf(panel.metric),
        unit: own,
      })
      override(drawn, [
        [panel.title, properties({ 'custom.cellOptions': barCell, ...(panel.bars === 'whole' ? {} : { min: 0 }) })],
        [columns.share, properties(ratioUnit)],
        ...besideUnits(panel.metric, (column) => column).slice(1),
      ])
      return drawn
    }
    case 'distribution': {
      const drawn = withBasics(new barchart.PanelBuilder(), {
        ...base,
        noValue: noValueOf(panel.metric),
        unit: unitOf(panel.unit, panel.across),
      })
        .xField(panel.of)
        .showValue(common.VisibilityMode.Always)
        .legend(
          new common.VizLegendOptionsBuilder()
            .showLegend(false)
            .displayMode(common.LegendDisplayMode.List)
            .placement(common.LegendPlacement.Bottom),
        )
        .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi))
      // In the tooltip and the export, not among the bars: it is of another unit.
      override(drawn, [
        [columns.share, properties({ ...ratioUnit, 'custom.hideFrom': { legend: true, tooltip: false, viz: true } })],
      ])
      return drawn
    }
    case 'comparison': {
      const drawn = withBasics(new table.PanelBuilder(), {
        ...base,
        noValue: '–',
        unit: unitOf('count'),
      })
      const units = (column: Column): [string, Properties][] => [
        [column.title, properties(unitOf(column.unit, acrossOf(column.metric)))],
        ...besideUnits(column.metric, (name) => besideColumn(column.title, name)),
      ]
      override(drawn, [
        [
          columns.deployment,
          properties({
            'custom.minWidth': 160,
            links: [{ title: 'Its board', url: boardLink(deploymentUid) }],
          }),
        ],
        ...panel.columns.flatMap(units),
      ])
      return drawn
    }
    case 'ledger': {
      const drawn = withBasics(new table.PanelBuilder(), {
        ...base,
        noValue: 'No event was accepted',
        unit: unitOf('count'),
      })
      return drawn
    }
  }
}

const reading = `Pick the days at the top right: they are each deployment's own local days, whatever your clock says. *${columns.before}* is as many days just before. *${columns.n}* is what a share was counted over, and its true value lies between *${columns.low}* and *${columns.high}* in 19 of 20 cases. What cannot be said is left out, never shown as zero. The sign beside a title explains what is counted.`

/** A board's file for Grafana. */
export function toGrafana(board: Board, deploymentBoard: Board): string {
  const built = new grafana.DashboardBuilder(board.title)
    .uid(uidOf(board))
    .description(board.description)
    .tags(['footfall'])
    // The days that are picked are then the days that are meant.
    .timezone('utc')
    .time({ from: 'now-29d/d', to: 'now/d' })
    .refresh('')
    .tooltip(grafana.DashboardCursorSync.Crosshair)
    .readonly()
    .withVariable(
      new grafana.DatasourceVariableBuilder('ds')
        .label('Data source')
        .type(plugin.id)
        .current({ text: 'Footfall', value: 'footfall-clickhouse' }),
    )
    .withVariable(deploymentVariable(board))
    .link(
      new grafana.DashboardLinkBuilder('Boards')
        .type(grafana.DashboardLinkType.Dashboards)
        .tags(['footfall'])
        .keepTime(true)
        .includeVars(false)
        .asDropdown(false),
    )
    .withPanel(
      new text.PanelBuilder()
        .id(idOf('about'))
        .title('About this board')
        .description('What the board is for, and how to read it.')
        .gridPos({ x: 0, y: 0, w: 18, h: 5 })
        .mode(text.TextMode.Markdown)
        .content(`${board.description}\n\n${reading}`),
    )
    .withPanel(
      withBasics(new stat.PanelBuilder(), {
        name: 'data-to',
        title: 'Data to',
        description:
          'When the newest event that is in the numbers was accepted. An event of one of the chosen deployments: where nobody comes, it is long ago.',
        sql: freshnessSql,
        queryType: 'table',
        noValue: 'No event yet',
        position: { x: 18, y: 0, w: 6, h: 5 },
        unit: { unit: 'dateTimeAsIso', decimals: 0 },
      })
        .graphMode(common.BigValueGraphMode.None)
        .reduceOptions(new common.ReduceDataOptionsBuilder().values(false).calcs(['lastNotNull']).fields('')),
    )
  let y = 5
  for (const section of board.sections) {
    built.withRow(
      new grafana.RowBuilder(section.title).id(idOf(`section-${section.id}`)).gridPos({ x: 0, y, w: 24, h: 1 }),
    )
    y += 1
    let x = 0
    let tallest = 0
    for (const panel of section.panels) {
      const w = spans[panel.width]
      const h = heights[panel.shape]
      if (x + w > 24) {
        y += tallest
        x = tallest = 0
      }
      built.withPanel(drawPanel(panel, board, uidOf(deploymentBoard), { x, y, w, h }))
      x += w
      tallest = Math.max(tallest, h)
    }
    y += tallest
  }
  return normalise(built.build())
}

/** Which deployments a board is about: any of them, or one. */
function deploymentVariable(board: Board): grafana.QueryVariableBuilder {
  const isOne = board.scope === 'deployment'
  return new grafana.QueryVariableBuilder('deployment')
    .label('Deployment')
    .description('One app run by one organisation.')
    .datasource(datasource)
    .query(deploymentsSql)
    .refresh(grafana.VariableRefresh.OnDashboardLoad)
    .sort(grafana.VariableSort.Disabled)
    .multi(!isOne)
    .includeAll(!isOne)
    .allowCustomValue(false)
    .current(isOne ? { text: '', value: '' } : { text: ['All'], value: ['$__all'] })
}
