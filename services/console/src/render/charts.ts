import type { EChartsCoreOption } from 'echarts/core'
import { escapeHtml, raw, type Html } from '../html.ts'

/**
 * Colours are drawn as these sentinels and replaced by the page's custom properties, so that one drawing follows the
 * reader's light or dark scheme. ECharts reads colours itself and would not keep a `var()`.
 */
const colours = {
  line: '#010101',
  before: '#020202',
  axis: '#030303',
  label: '#040404',
  area: '#050505',
} as const

const sentinel = new Map(Object.entries(colours).map(([name, colour]) => [colour as string, `var(--chart-${name})`]))

async function loadEcharts() {
  // Half a second to load: only when the first chart is drawn.
  const [core, charts, components, renderers] = await Promise.all([
    import('echarts/core'),
    import('echarts/charts'),
    import('echarts/components'),
    import('echarts/renderers'),
  ])
  core.use([charts.LineChart, charts.BarChart, components.GridComponent, renderers.SVGRenderer])
  return core
}
let loading: ReturnType<typeof loadEcharts> | undefined

export interface Series {
  readonly name: string
  readonly values: readonly (number | null)[]
}

export interface Chart {
  /** Unique on the page. */
  readonly id: string
  /** What the drawing shows, in a few words. */
  readonly title: string
  /** What a reader sees in it, in a sentence. */
  readonly summary: string
  readonly labels: readonly string[]
  readonly series: Series
  readonly before?: Series
  /** The last point is of a time that is still running: its line is broken. */
  readonly running?: boolean
  readonly formatValue: (value: number) => string
  readonly bars?: boolean
  /** Steps of one at least, for counts. */
  readonly whole?: boolean
}

/** Wide for desks, narrow for phones: text in a drawing does not reflow, so there are two and CSS shows one. */
const sizes = { wide: { width: 880, height: 260, labels: 10 }, narrow: { width: 340, height: 220, labels: 4 } } as const

function optionOf(chart: Chart, most: number): EChartsCoreOption {
  const step = Math.max(1, Math.ceil(chart.labels.length / most))
  const line = (series: Series, look: { colour: string; dash?: number[]; width: number; area?: boolean }) => ({
    type: 'line',
    data: series.values.map((value) => (value === null ? '-' : value)),
    symbol: 'circle',
    symbolSize: 5,
    // A line needs two points; one alone is drawn as a dot.
    showSymbol: series.values.filter((value) => value !== null).length < 2,
    itemStyle: { color: look.colour },
    lineStyle: { color: look.colour, width: look.width, type: look.dash ?? 'solid' },
    ...(look.area === true ? { areaStyle: { color: colours.area, opacity: 1 } } : {}),
  })
  const { values } = chart.series
  const running = chart.running === true && values.length > 2
  const solid = running ? { ...chart.series, values: values.slice(0, -1) } : chart.series
  const tail = { ...chart.series, values: values.map((value, index) => (index >= values.length - 2 ? value : null)) }
  const bars = (series: Series) => ({
    type: 'bar',
    data: series.values.map((value) => (value === null ? '-' : value)),
    itemStyle: { color: colours.line, borderRadius: [3, 3, 0, 0] },
    barMaxWidth: 72,
  })
  return {
    animation: false,
    grid: { left: 4, right: 12, top: 16, bottom: 4, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
    xAxis: {
      type: 'category',
      data: chart.labels,
      boundaryGap: chart.bars === true,
      axisTick: { show: false },
      axisLine: { lineStyle: { color: colours.axis } },
      axisLabel: {
        color: colours.label,
        margin: 12,
        hideOverlap: true,
        interval: (index: number) => chart.bars === true || index % step === 0,
      },
    },
    yAxis: {
      type: 'value',
      min: 0,
      splitNumber: 4,
      ...(chart.whole === true ? { minInterval: 1 } : {}),
      splitLine: { lineStyle: { color: colours.axis } },
      axisLabel: { color: colours.label, formatter: chart.formatValue, margin: 12 },
    },
    series: [
      ...(chart.before ? [line(chart.before, { colour: colours.before, dash: [4, 4], width: 1.5 })] : []),
      chart.bars === true ? bars(chart.series) : line(solid, { colour: colours.line, width: 2.25, area: true }),
      ...(running && chart.bars !== true ? [line(tail, { colour: colours.line, dash: [2, 3], width: 2.25 })] : []),
    ],
  }
}

/** ECharts' text as markup that a strict content security policy and a page with many drawings can hold. */
function clean(svg: string, chart: Chart, size: keyof typeof sizes): string {
  const { width, height } = sizes[size]
  const name = `${chart.id}-${size}`
  const body = svg
    .replace(/<svg[^>]*>/, '')
    .replace(/<style[\s\S]*?<\/style>/g, '')
    .replace(/ style="[^"]*"/g, '')
    .replace(/ class="[^"]*"/g, '')
    .replace(/ pointer-events="[^"]*"/g, '')
    .replace(/zr\d+-c(\d+)/g, `${name}-c$1`)
    .replace(/#0\d0\d0\d\b/g, (colour) => sentinel.get(colour) ?? colour)
  return (
    `<svg class="chart chart-${chart.bars === true ? 'only' : size}" role="img" aria-labelledby="${name}-title ${name}-desc" viewBox="0 0 ${width} ${height}"` +
    ` xmlns="http://www.w3.org/2000/svg"><title id="${name}-title">${escapeHtml(chart.title)}</title>` +
    `<desc id="${name}-desc">${escapeHtml(chart.summary)}</desc>${body}`
  )
}

/** Draws a chart as inline SVG, twice: for wide and for narrow screens. Needs no script and no inline style. */
export async function drawChart(chart: Chart): Promise<Html> {
  const echarts = await (loading ??= loadEcharts())
  const draw = (size: keyof typeof sizes): string => {
    const { width, height, labels } = sizes[size]
    const drawing = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height })
    try {
      drawing.setOption(optionOf(chart, labels))
      return clean(drawing.renderToSVGString(), chart, size)
    } finally {
      drawing.dispose()
    }
  }
  // A few bars stand beside their table: the narrow drawing fits there at any width.
  return raw(chart.bars === true ? draw('narrow') : draw('wide') + draw('narrow'))
}

/** The course of a few numbers as a thin line without axes: a hint beside a big number, which says the same in words. */
export function drawCourse(values: readonly (number | null)[]): Html {
  const known = values.map((value) => value ?? 0)
  const top = Math.max(...known, 1)
  if (known.length < 2) return raw('')
  const points = known.map((value, index) => {
    const x = (index / (known.length - 1)) * 118 + 1
    return `${x.toFixed(1)},${(31 - (value / top) * 28).toFixed(1)}`
  })
  return raw(
    `<svg class="course" viewBox="0 0 120 34" preserveAspectRatio="none" aria-hidden="true" focusable="false">` +
      `<polygon points="1,33 ${points.join(' ')} 119,33"/><polyline points="${points.join(' ')}"/></svg>`,
  )
}
