import type { Board } from '@footfall/dashboards/board'
import type { MetricAnswer } from '@footfall/store/metrics'
import { formatRange, formatTime } from '../format.ts'
import { html, raw, type Html } from '../html.ts'
import type { PanelNumbers } from '../load-board.ts'
import { text } from '../messages.ts'
import { presets, type Period, type PeriodMistake } from '../periods.ts'
import { renderPanel, type PanelContext } from './panel.ts'

/** Lengths to choose from, and two days to fill in: a plain form, so that it works without scripts and can be linked. */
export function renderPeriodPicker(options: {
  action: string
  period: Period
  mistake: PeriodMistake | null
  today: string
  /** What else the address carries. */
  keep?: Readonly<Record<string, string>>
}): Html {
  const { action, period, mistake, today, keep = {} } = options
  const address = (preset: string): string => `${action}?${new URLSearchParams({ ...keep, period: preset }).toString()}`
  return html`<div class="period">
    <ul class="presets" aria-label="${text.period.legend}">
      ${Object.keys(presets)
        .sort((left, right) => Number(left) - Number(right))
        .map(
          (preset) =>
            html`<li>
              <a href="${address(preset)}" ${preset === period.preset && raw(' aria-current="true"')}
                >${text.period.presets[preset as keyof typeof presets]}</a
              >
            </li>`,
        )}
    </ul>
    <form method="get" action="${action}">
      ${Object.entries(keep).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}
      <label
        >${text.period.from} <input type="date" name="from" value="${period.from}" max="${today}" required
      /></label>
      <label>${text.period.to} <input type="date" name="to" value="${period.to}" max="${today}" required /></label>
      <button class="quiet">${text.period.apply}</button>
    </form>
    ${mistake && html`<p class="problem" role="alert">${text.period.mistakes[mistake]}</p>`}
  </div>`
}

/** How far the numbers reach, whether they are whole, and what they miss. */
export function renderFreshness(
  numbers: ReadonlyMap<string, PanelNumbers>,
  period: Period,
  timeZone: string,
  zoneNote: string | null,
): Html {
  const answers = [...numbers.values()]
    .flatMap(({ now }) => now.map((loaded) => loaded.answer))
    .filter((answer): answer is MetricAnswer => answer !== undefined)
  const first = answers[0]
  if (first === undefined) return html``
  return html`<ul class="freshness">
      <li>${formatRange(period.from, period.to)}, ${text.board.against(period.days)}</li>
      <li>
        ${first.data_to === null ? text.board.dataNone : html`${text.board.dataTo} <time datetime="${first.data_to}">${formatTime(Date.parse(first.data_to), timeZone)}</time>`}
      </li>
      <li class="${first.complete ? 'complete' : 'incomplete'}">
        ${first.complete ? text.board.complete : text.board.incomplete}
      </li>
      ${zoneNote && html`<li>${zoneNote}</li>`}
    </ul>
    ${first.coverage.refused > 0 && html`<p class="undercounted">${text.board.undercounted(first.coverage.refused)}</p>`}`
}

/** Every section of a board with its panels, all drawn from one set of numbers. */
export async function renderBoard(
  board: Board,
  numbers: ReadonlyMap<string, PanelNumbers>,
  context: PanelContext,
): Promise<Html> {
  const sections = await Promise.all(
    board.sections.map(
      async (section) =>
        html`<section aria-labelledby="section-${section.id}">
          <h2 id="section-${section.id}">${section.title}</h2>
          <div class="panels">
            ${await Promise.all(section.panels.map((panel) => renderPanel(panel, numbers.get(panel.id)!, context)))}
          </div>
        </section>`,
    ),
  )
  return html`${sections}`
}
