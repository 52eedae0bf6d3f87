import { metricsOf, type Panel, type StatPanel } from '@footfall/dashboards/board'
import { metricDefinitions } from '@footfall/store/metrics'
import { combine, combineBy, type Figure } from '../combine.ts'
import { formatCount, formatPercent, formatPeriod, formatValue } from '../format.ts'
import { html, raw, type Html } from '../html.ts'
import type { Ledger, Loaded, PanelNumbers } from '../load-board.ts'
import { text } from '../messages.ts'
import type { Period } from '../periods.ts'
import { drawChart, drawCourse } from './charts.ts'
import { basisOf, reasonOf, renderChange, renderFigure } from './figures.ts'
import { hidden } from './layout.ts'

/** What panels of a page have in common. */
export interface PanelContext {
  readonly period: Period
  /** Names deployments in addresses; absent: all. */
  readonly deployment?: string
  /** Draws the rows of a comparison, which only the page knows. */
  readonly comparison?: (panel: Extract<Panel, { shape: 'comparison' }>, numbers: PanelNumbers) => Html
}

const csvAddress = (metric: string, context: PanelContext, interval: string): string => {
  if (metric === 'ledger')
    return `/api/v1/ledger?format=csv${context.deployment ? `&deployment=${encodeURIComponent(context.deployment)}` : ''}`
  const query = new URLSearchParams({
    ...(context.deployment === undefined ? {} : { deployment: context.deployment }),
    from: context.period.from,
    to: context.period.to,
    // Rankings are over the whole range and take no interval.
    ...(interval === 'total' ? {} : { interval }),
    format: 'csv',
  })
  return `/api/v1/metrics/${metric}?${query.toString()}`
}

function renderDefinition(metric: string): Html {
  const definition = metricDefinitions.find(({ id }) => id === metric)
  return definition
    ? html`<dl class="definition">
        <dt>${text.board.formula}</dt>
        <dd>${definition.description}</dd>
        <dt>${text.board.inclusions}</dt>
        <dd>${definition.inclusions}</dd>
        <dt>${text.board.exclusions}</dt>
        <dd>${definition.exclusions}</dd>
        <dt>${text.board.source}</dt>
        <dd>${definition.source}; <code>${definition.id}</code>, ${text.board.version(definition.version)}</dd>
      </dl>`
    : html`<p>${text.ledger.definition}</p>`
}

const problem = (words: string): Html => html`<p class="problem" role="note">${words}</p>`
const firstProblem = (numbers: readonly Loaded<unknown>[]): string | null =>
  numbers.find((loaded) => loaded.problem !== undefined)?.problem ?? null

function renderStat(panel: StatPanel, numbers: PanelNumbers): Html {
  const now = numbers.now[0]!
  if (now.problem !== undefined) return problem(now.problem)
  const figure = combine(now.answer.rows, panel.across)
  const before = numbers.before[0]?.answer ? combine(numbers.before[0].answer.rows, panel.across) : null
  const course = numbers.course?.answer
    ? [...combineBy(numbers.course.answer.rows, 'period', panel.across).values()].map(({ value }) => value)
    : null
  if (figure.value === null) {
    return html`<p class="number">${renderFigure(figure, panel.unit)}</p>
      <p class="basis">${reasonOf(figure)}</p>`
  }
  return html`<div class="stat-row">
      <p class="number">${renderFigure(figure, panel.unit)}</p>
      ${course && drawCourse(course)}
    </div>
    ${renderChange(figure, before, panel.unit, panel.better)}
    <p class="basis">${basisOf(figure, panel.metric).map((line) => html`<span>${line}</span> `)}</p>`
}

async function renderTrend(panel: Extract<Panel, { shape: 'trend' }>, numbers: PanelNumbers): Promise<Html> {
  const now = numbers.now[0]!
  if (now.problem !== undefined) return problem(now.problem)
  const figures = [...combineBy(now.answer.rows, 'period', panel.across)]
  const known = figures.filter((entry): entry is [string, Figure & { value: number }] => entry[1].value !== null)
  if (known.length === 0) return html`<p class="empty">${text.board.empty}</p>`
  const earlier = numbers.before[0]?.answer ? [...combineBy(numbers.before[0].answer.rows, 'period', panel.across)] : []
  const show = (value: number): string => formatValue(value, panel.unit)
  const highest = known.reduce((best, entry) => (entry[1].value > best[1].value ? entry : best))
  const lowest = known.reduce((best, entry) => (entry[1].value < best[1].value ? entry : best))
  const summary = text.board.trendSummary(
    show(highest[1].value),
    formatPeriod(highest[0], 'long'),
    show(lowest[1].value),
    formatPeriod(lowest[0], 'long'),
  )
  const hasEarlier = earlier.some(([, { value }]) => value !== null && value > 0)
  const chart = await drawChart({
    id: panel.id,
    title: panel.title,
    summary,
    labels: figures.map(([name]) => formatPeriod(name, 'short')),
    series: { name: text.board.thisPeriod, values: figures.map(([, { value }]) => value) },
    ...(hasEarlier
      ? {
          before: {
            name: text.board.periodBefore,
            values: figures.map((_entry, index) => earlier[index]?.[1].value ?? null),
          },
        }
      : {}),
    formatValue: show,
    whole: panel.unit === 'count',
    running: !now.answer.complete,
  })
  return html`<ul class="legend" aria-hidden="true">
      <li class="key-now">${text.board.thisPeriod}</li>
      ${hasEarlier && html`<li class="key-before">${text.board.periodBefore}</li>`}${!now.answer.complete && html`<li class="key-running">${text.board.running}</li>`}
    </ul>
    ${chart}
    <details>
      <summary>${text.board.table}${hidden(text.board.of(panel.title))}</summary>
      <div class="scroll" tabindex="0" role="region" aria-label="${panel.title}">
        <table>
          <caption class="visually-hidden">
            ${panel.title}
          </caption>
          <thead>
            <tr>
              <th scope="col">${text.board.when}</th>
              <th scope="col" class="num">${text.board.thisPeriod}</th>
              <th scope="col" class="num">${text.board.periodBefore}</th>
            </tr>
          </thead>
          <tbody>
            ${figures.map(
              ([name, figure], index) =>
                html`<tr>
                  <th scope="row">${formatPeriod(name, 'long')}</th>
                  <td class="num">${renderFigure(figure, panel.unit)}</td>
                  <td class="num">${renderFigure(earlier[index]?.[1], panel.unit)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </details>`
}

/** The words for a value of a dimension. */
function nameOf(panel: { metric: string }, value: string): string {
  if (value === '') return panel.metric === 'top_referrers' ? text.board.noReferrer : text.board.unknown
  if (panel.metric === 'refused_events')
    return (text.refusals as Readonly<Record<string, readonly [string, string]>>)[value]?.[0] ?? value
  if (panel.metric === 'event_names') return text.live.names[value] ?? value
  if (panel.metric === 'countries')
    return new Intl.DisplayNames(text.language, { type: 'region', fallback: 'code' }).of(value) ?? value
  return value
}

const bar = (share: number): Html =>
  raw(
    `<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true" focusable="false"><rect width="${(Math.max(0, Math.min(1, share)) * 100).toFixed(2)}" height="1"/></svg>`,
  )

function renderRanking(panel: Extract<Panel, { shape: 'ranking' }>, numbers: PanelNumbers): Html {
  const now = numbers.now[0]!
  if (now.problem !== undefined) return problem(now.problem)
  const isRate = panel.unit === 'ratio'
  const weight = ([, figure]: [string, Figure]): number => (isRate ? (figure.n ?? 0) : (figure.value ?? 0))
  const all = [...combineBy(now.answer.rows, 'dimension', panel.across)].sort(
    (left, right) => weight(right) - weight(left),
  )
  if (all.length === 0) return html`<p class="empty">${text.board.empty}</p>`
  const shown = all.slice(0, panel.limit)
  const total = all.reduce((sum, entry) => sum + (entry[1].value ?? 0), 0)
  const largest = Math.max(...shown.map(([, { value }]) => value ?? 0), 1e-9)
  const row = ([name, figure]: [string, Figure]): Html => {
    const label = nameOf(panel, name)
    const size = panel.bars === 'whole' ? (figure.value ?? 0) : (figure.value ?? 0) / largest
    const advice =
      panel.metric === 'refused_events'
        ? (text.refusals as Readonly<Record<string, readonly [string, string]>>)[name]?.[1]
        : undefined
    return html`<tr>
      <th scope="row">
        ${bar(size)}<span class="label">${label}</span>${advice && html`<span class="advice">${advice}</span>`}
      </th>
      <td class="num">${renderFigure(figure, panel.unit)}</td>
      ${
        isRate
          ? html`<td class="num">${figure.n === undefined ? '' : formatCount(figure.n)}</td>
              <td class="num range">
                ${figure.low === undefined ? '' : `${formatPercent(figure.low)} – ${formatPercent(figure.high ?? 1)}`}
              </td>`
          : html`<td class="num share">${total > 0 ? formatPercent((figure.value ?? 0) / total) : ''}</td>`
      }
    </tr>`
  }
  return html`<table class="ranking">
      <caption class="visually-hidden">
        ${panel.title}
      </caption>
      <thead>
        <tr>
          <th scope="col">${panel.of}</th>
          <th scope="col" class="num">${isRate ? text.board.share : text.board.value}</th>
          ${
            isRate
              ? html`<th scope="col" class="num">${text.basis[panel.metric] ?? text.board.basis}</th>
                  <th scope="col" class="num range">${text.board.interval}</th>`
              : html`<th scope="col" class="num share">${text.board.share}</th>`
          }
        </tr>
      </thead>
      <tbody>
        ${shown.map(row)}
      </tbody>
    </table>
    ${all.length > shown.length && html`<p class="basis">${text.board.rest(all.length - shown.length)}</p>`}`
}

async function renderDistribution(
  panel: Extract<Panel, { shape: 'distribution' }>,
  numbers: PanelNumbers,
): Promise<Html> {
  const now = numbers.now[0]!
  if (now.problem !== undefined) return problem(now.problem)
  const byValue = combineBy(now.answer.rows, 'dimension', panel.across)
  const counts = panel.scale.map(({ value, label }) => ({ label, count: byValue.get(value)?.value ?? 0 }))
  const total = counts.reduce((sum, { count }) => sum + count, 0)
  if (total === 0) return html`<p class="empty">${text.board.empty}</p>`
  const most = counts.reduce((best, entry) => (entry.count > best.count ? entry : best))
  const chart = await drawChart({
    id: panel.id,
    title: panel.title,
    summary: text.board.distributionSummary(most.label, formatCount(most.count)),
    labels: panel.scale.map(({ value }) => value),
    series: { name: panel.title, values: counts.map(({ count }) => count) },
    formatValue: formatCount,
    bars: true,
    whole: true,
  })
  return html`<div class="beside">
    ${chart}
    <table>
      <caption class="visually-hidden">
        ${panel.title}
      </caption>
      <thead>
        <tr>
          <th scope="col">${panel.of}</th>
          <th scope="col" class="num">${text.board.value}</th>
          <th scope="col" class="num">${text.board.share}</th>
        </tr>
      </thead>
      <tbody>
        ${counts.map(
          ({ label, count }) =>
            html`<tr>
              <th scope="row">${label}</th>
              <td class="num">${formatCount(count)}</td>
              <td class="num">${formatPercent(count / total)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`
}

function renderLedger(ledger: Loaded<Ledger>): Html {
  if (ledger.problem !== undefined) return problem(ledger.problem)
  const sums = ledger.answer
  const accepted = sums.read + sums.in_log + (sums.spooled ?? 0)
  const names = ['stored', 'deduplicated', 'failed', 'expired', 'erased', 'in_log', 'spooled'] as const
  const line = (name: 'accepted' | 'in_log_of_all' | (typeof names)[number], count: number | null): Html =>
    html`<tr${name === 'accepted' && raw(' class="total"')}><th scope="row">${text.ledger[name]}</th><td class="num">${count === null ? text.ledger.spooledElsewhere : formatCount(count)}</td></tr>`
  return html`<table>
      <caption class="visually-hidden">
        ${text.ledger.where}
      </caption>
      <thead class="visually-hidden">
        <tr>
          <th scope="col">${text.ledger.where}</th>
          <th scope="col">${text.ledger.events}</th>
        </tr>
      </thead>
      <tbody>
        ${line('accepted', accepted)}${names.map((name) => line(name === 'in_log' && sums.in_log_scope === 'all' ? 'in_log_of_all' : name, sums[name]))}
      </tbody>
    </table>
    <p class="${sums.difference === 0 ? 'balanced' : 'problem'}">
      ${sums.difference === 0 ? text.ledger.balanced : text.ledger.difference(sums.difference)}
    </p>`
}

async function renderBody(panel: Panel, numbers: PanelNumbers, context: PanelContext): Promise<Html> {
  switch (panel.shape) {
    case 'stat':
      return renderStat(panel, numbers)
    case 'trend':
      return renderTrend(panel, numbers)
    case 'ranking':
      return renderRanking(panel, numbers)
    case 'distribution':
      return renderDistribution(panel, numbers)
    case 'comparison': {
      const words = numbers.now.every(({ problem }) => problem !== undefined) ? firstProblem(numbers.now) : null
      return words === null ? (context.comparison?.(panel, numbers) ?? html``) : problem(words)
    }
    case 'ledger':
      return renderLedger(numbers.ledger!)
  }
}

/** One panel: its number or drawing, and below it the definition and the CSV. */
export async function renderPanel(panel: Panel, numbers: PanelNumbers, context: PanelContext): Promise<Html> {
  const body = await renderBody(panel, numbers, context)
  const interval = panel.shape === 'trend' ? context.period.interval : 'total'
  const metrics = metricsOf(panel)
  const columns = panel.shape === 'comparison' ? panel.columns : null
  const more = metrics.map((metric, index) => {
    const title = columns?.[index]?.title ?? panel.title
    const csv = html`<a class="csv" href="${csvAddress(metric, context, interval)}"
      >${text.board.csv}${hidden(text.board.of(title))}</a
    >`
    return columns
      ? html`<details>
          <summary>${title}</summary>
          ${renderDefinition(metric)}
          <p>${csv}</p>
        </details>`
      : html`<details>
            <summary>${text.board.definition}${hidden(text.board.of(title))}</summary>
            ${renderDefinition(metric)}
          </details>
          ${csv}`
  })
  return html`<figure class="panel ${panel.shape} ${panel.width}" id="${panel.id}">
    <figcaption>
      <h3>${panel.title}</h3>
      <p>${panel.description}</p>
    </figcaption>
    <div class="body">${body}</div>
    <div class="more">${columns && html`<p>${text.board.definition}:</p>`}${more}</div>
  </figure>`
}
