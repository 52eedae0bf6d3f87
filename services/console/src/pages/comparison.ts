import type { ComparisonPanel } from '@footfall/dashboards/board'
import type { ListedDeployment } from '../catalogue.ts'
import { combineBy, type Figure } from '../combine.ts'
import { formatAgo, formatPercent } from '../format.ts'
import { html, raw, type Html } from '../html.ts'
import type { Loaded, PanelNumbers } from '../load-board.ts'
import { text } from '../messages.ts'
import { basisOf, renderChange, renderFigure } from '../render/figures.ts'

/** How the table is ordered and grouped: part of the address, so that it can be linked. */
export interface View {
  readonly sort: string
  readonly group: 'none' | 'app' | 'organisation'
}

export const readView = (query: { sort?: string | undefined; group?: string | undefined }): View => ({
  sort: query.sort ?? 'page_views',
  group: query.group === 'app' || query.group === 'organisation' ? query.group : 'none',
})

export interface ComparisonOptions {
  readonly panel: ComparisonPanel
  readonly numbers: PanelNumbers
  readonly deployments: readonly ListedDeployment[]
  readonly view: View
  readonly address: (changes: Partial<View>) => string
  /** Unix milliseconds. */
  readonly lastSeen: ReadonlyMap<string, number>
  readonly refused: Loaded | null
  readonly coverage: Loaded | null
  readonly now: number
}

/** Below this share of views with a visitor, visitor numbers say little. */
const littleCoverage = 0.9

const byDeployment = (loaded: Loaded | null | undefined): Map<string, Figure> =>
  loaded?.answer ? combineBy(loaded.answer.rows, 'deployment', 'sum') : new Map<string, Figure>()

/** One row a deployment: its numbers with what they rest on, when it was last heard of, and what to be careful about. */
export function renderComparison(options: ComparisonOptions): Html {
  const { panel, numbers, deployments, view, address, lastSeen, now } = options
  if (deployments.length === 0) return html`<p class="empty">${text.board.noDeployments}</p>`
  const columns = panel.columns.map((column, index) => ({
    ...column,
    now: byDeployment(numbers.now[index]),
    before: column.better && panel.columns.length > 0 ? byDeployment(numbers.before[index]) : null,
  }))
  const refused = byDeployment(options.refused)
  const coverage = byDeployment(options.coverage)

  const sorter = columns.find(({ metric }) => metric === view.sort)
  const ordered = [...deployments].sort((left, right) => {
    if (view.sort === 'last_seen') return (lastSeen.get(right.id) ?? 0) - (lastSeen.get(left.id) ?? 0)
    if (sorter === undefined) return left.title.localeCompare(right.title, 'en')
    return (sorter.now.get(right.id)?.value ?? -1) - (sorter.now.get(left.id)?.value ?? -1)
  })
  const notes = (id: string): string[] => {
    const lost = refused.get(id)?.value ?? 0
    const known = coverage.get(id)?.value ?? null
    return [
      ...(lost > 0 ? [text.board.refusedNote(lost)] : []),
      ...(known !== null && known < littleCoverage ? [text.board.coverageNote(formatPercent(known))] : []),
    ]
  }
  const row = (deployment: ListedDeployment): Html => {
    const seen = lastSeen.get(deployment.id)
    const careful = notes(deployment.id)
    return html`<tr role="row">
      <th scope="row" role="rowheader">
        <a href="/deployments/${deployment.id}">${deployment.title}</a
        ><span class="aside">${deployment.appName} · ${deployment.organisationName}</span>
        ${deployment.environment === 'test' && html`<span class="tag">${text.board.testOnly}</span>`}
      </th>
      ${columns.map((column) => {
        const figure = column.now.get(deployment.id)
        return html`<td class="num" role="cell" data-label="${column.title}">
          <span class="value">${renderFigure(figure, column.unit)}</span
          >${figure && column.before && column.unit === 'count' && renderChange(figure, column.before.get(deployment.id) ?? null, column.unit, column.better)}${figure && basisOf(figure, column.metric).map((line) => html`<span class="aside">${line}</span>`)}
        </td>`
      })}
      <td role="cell" data-label="${text.board.lastSeen}">
        ${seen === undefined || seen === 0 ? text.board.never : html`<time datetime="${new Date(seen).toISOString()}">${formatAgo(seen, now)}</time>`}
      </td>
      <td role="cell" data-label="${text.board.quality}">
        ${careful.length === 0 ? html`<span class="aside">${text.board.fine}</span>` : html`<span class="careful">${careful.join('; ')}</span>`}
      </td>
    </tr>`
  }
  const head = (id: string, title: string, numeric: boolean): Html =>
    html`<th
      scope="col"
      role="columnheader"
      ${numeric && raw(' class="num"')}${view.sort === id && raw(` aria-sort="${numeric || id === 'last_seen' ? 'descending' : 'ascending'}"`)}
    >
      <a href="${address({ sort: id })}"
        >${title}${view.sort === id && html`<span aria-hidden="true"> ${numeric || id === 'last_seen' ? '↓' : '↑'}</span>`}</a
      >
    </th>`
  const groupName = (deployment: ListedDeployment): string =>
    view.group === 'app' ? deployment.appName : deployment.organisationName
  const groups = new Map<string, ListedDeployment[]>()
  for (const deployment of ordered) {
    const name = view.group === 'none' ? '' : groupName(deployment)
    groups.set(name, [...(groups.get(name) ?? []), deployment])
  }
  const width = columns.length + 3
  const choice = (group: View['group'], label: string): Html =>
    html`<li><a href="${address({ group })}" ${view.group === group && raw(' aria-current="true"')}>${label}</a></li>`
  return html`<div class="group-by">
      <span>${text.board.groupBy}</span>
      <ul class="presets" aria-label="${text.board.groupBy}">
        ${choice('none', text.board.noGroup)}${choice('app', text.board.app)}${choice('organisation', text.board.organisation)}
      </ul>
    </div>
    <div class="scroll" tabindex="0" role="region" aria-label="${panel.title}">
      <table class="comparison-table" role="table">
        <caption class="visually-hidden">
          ${panel.title}
        </caption>
        <thead role="rowgroup">
          <tr role="row">
            ${head('title', text.board.deployment, false)}${columns.map(({ metric, title }) => head(metric, title, true))}${head('last_seen', text.board.lastSeen, false)}
            <th scope="col" role="columnheader">${text.board.quality}</th>
          </tr>
        </thead>
        ${[...groups].map(
          ([name, members]) =>
            html`<tbody role="rowgroup">
              ${
                name !== '' &&
                html`<tr class="group" role="row">
                  <th scope="rowgroup" role="rowheader" colspan="${width}">${name}</th>
                </tr>`
              }${members.map(row)}
            </tbody>`,
        )}
      </table>
    </div>`
}
