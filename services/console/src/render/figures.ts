import type { Better, Unit } from '@footfall/dashboards/board'
import type { Figure } from '../combine.ts'
import { formatPercent, formatValue } from '../format.ts'
import { html, type Html } from '../html.ts'
import { text } from '../messages.ts'

/** Why there is no number, in words. */
export const reasonOf = (figure: Figure): string => text.reasons[figure.reason ?? 'no_data'] ?? text.reasons.no_data!

/** A number, or a dash with its reason for those who cannot see that it is one. */
export function renderFigure(figure: Figure | undefined, unit: Unit): Html {
  if (figure === undefined || figure.value === null) {
    const reason = figure === undefined ? text.reasons.no_data! : reasonOf(figure)
    return html`<span class="missing" title="${reason}"
      ><span aria-hidden="true">–</span><span class="visually-hidden">${text.board.missing}: ${reason}</span></span
    >`
  }
  return html`${formatValue(figure.value, unit)}`
}

/** What the number rests on: out of how many, and the range the true rate lies in. */
export function basisOf(figure: Figure, metric: string): string[] {
  if (figure.value === null || figure.n === undefined) return []
  if (metric === 'daily_visitors') return [text.board.overDays(figure.n)]
  const lines = [text.board.ofN(figure.n, text.basis[metric] ?? '').trim()]
  if (figure.low !== undefined && figure.high !== undefined) {
    lines.push(text.board.range(formatPercent(figure.low), formatPercent(figure.high)))
  }
  return lines
}

/** Percent with the one decimal that is shown: a difference is that of the numbers the reader sees. */
const tenths = (share: number): number => Math.round(share * 1000) / 10

/** The change against the period before, told by arrow, word and number, never by colour alone. */
export function renderChange(now: Figure, before: Figure | null, unit: Unit, better: Better | undefined): Html {
  if (now.value === null) return html``
  if (before === null || before.value === null || (unit === 'count' && before.value === 0)) {
    return html`<p class="change">${text.board.nothingBefore}</p>`
  }
  const earlier = formatValue(before.value, unit)
  const difference = now.value - before.value
  const amount =
    unit === 'count'
      ? formatPercent(Math.abs(difference) / before.value)
      : unit === 'ratio'
        ? text.board.points(Math.abs(tenths(now.value) - tenths(before.value)).toFixed(1))
        : formatValue(Math.abs(difference), unit)
  const current = formatValue(now.value, unit)
  if (current === earlier)
    return html`<p class="change"><span class="arrow" aria-hidden="true">→</span> ${text.board.same} before</p>`
  const up = difference > 0
  const verdict = better === undefined ? '' : up === (better === 'more') ? ' good' : ' bad'
  return html`<p class="change${verdict}">
    <span class="arrow" aria-hidden="true">${up ? '▲' : '▼'}</span> ${amount}
    ${unit === 'count' ? (up ? text.board.more : text.board.less) : up ? text.board.up : text.board.down} ${earlier}
  </p>`
}
