import type { LiveEvent, LiveRefusal } from '../live-feed.ts'
import { html, type Html } from '../html.ts'
import { text } from '../messages.ts'

const clock = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  timeZone: 'UTC',
})
const time = (at: number): Html => html`<time datetime="${new Date(at).toISOString()}">${clock.format(at)}</time>`

/** One beacon of the live view. */
export function renderBeacon(event: LiveEvent, titleOf: (deployment: string) => string): Html {
  const what = text.live.names[event.name] ?? event.name
  const where = event.path || event.screen
  const details = [
    event.journey && (event.outcome ? `${event.journey}: ${event.outcome}` : event.journey),
    event.rating > 0 && `${event.rating} of 5`,
    event.referrer && `from ${event.referrer}`,
    [event.device, event.browser, event.country].filter(Boolean).join(', '),
  ].filter((detail) => typeof detail === 'string' && detail !== '')
  return html`<li>
    ${time(event.received_at)}
    <div>
      <p class="what">
        <strong>${what}</strong>
        ${where && html`<code>${where}</code>`}${event.test && html` <span class="tag">${text.live.test}</span>`}${event.bot && html` <span class="tag">${text.live.bot}</span>`}${(event.test || event.bot) && html` <span class="aside">${text.live.notCounted}</span>`}
      </p>
      <p class="aside">${titleOf(event.deployment)}${details.map((detail) => html` · ${detail}`)}</p>
    </div>
  </li>`
}

/** One refusal: what it was in plain words, and what to do. */
export function renderRefusal(refusal: LiveRefusal, titleOf: (deployment: string) => string): Html {
  const words = (text.refusals as Readonly<Record<string, readonly [string, string] | undefined>>)[refusal.reason]
  return html`<li>
    ${time(refusal.at)}
    <div>
      <p class="what">
        <strong>${words?.[0] ?? refusal.reason}</strong> ${refusal.where && html`<code>${refusal.where}</code>`}
      </p>
      <p class="aside">
        ${refusal.deployment === '' ? text.live.unknownDeployment : titleOf(refusal.deployment)} ·
        ${text.live.times(refusal.count)}
      </p>
      ${words && html`<p class="todo">${words[1]}</p>`}
    </div>
  </li>`
}

/** What came too fast to be shown one by one. */
export const renderMore = (count: number): Html =>
  html`<li class="more-events">
    <span></span>
    <p class="aside">${text.live.more(count)}</p>
  </li>`
