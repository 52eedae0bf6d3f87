import { createLocalClock } from '@footfall/enrichment/local-time'
import { queryMetric } from '@footfall/store/metrics'
import type { FastifyInstance } from 'fastify'
import { listDeployments, snippetOf } from '../catalogue.ts'
import { formatCount } from '../format.ts'
import { html, raw } from '../html.ts'
import { text } from '../messages.ts'
import { renderNotice, renderPage } from '../render/layout.ts'
import type { Web } from '../web.ts'

/** The ready-made deployment that the start page counts under. */
export const firstAppId = 'my-first-app'

/** `/start`: where the sign-in link leads. The page is itself measured, and shows its own visit becoming a number. */
export function startPage(app: FastifyInstance, web: Web): void {
  const localTime = createLocalClock()

  app.get('/start', async (request, reply) => {
    const session = web.enter(request, reply)
    if (session === null) return reply
    const first = listDeployments(web.registry).find(({ id, retired }) => id === firstAppId && !retired)
    if (first?.key === undefined || first.key === null) {
      const link = { address: '/', label: text.problems.toOverview }
      return web.send(
        reply,
        renderNotice({ title: text.start.nextTitle, lead: text.start.gone, link, assets: web.assets, session }),
      )
    }
    const today = localTime(first.time_zone, web.now()).day
    const { unconsumed_from: unconsumedFrom = null } = await web.ledgerExtras()
    const question = {
      deployments: [first],
      from: today,
      to: today,
      interval: 'total' as const,
      unconsumedFrom,
      now: web.now(),
    }
    // The store may still be starting: the page then begins at 0 and counts up.
    const count = await queryMetric(web.store, 'page_views', question).then(
      ({ rows }) => rows[0]?.value ?? 0,
      () => 0,
    )
    const numberAddress = `/api/v1/metrics/page_views?${new URLSearchParams({ deployment: first.id, from: today, to: today, interval: 'total' }).toString()}`
    const own = snippetOf(web.config.publicUrl(), first.key, first.mode)
    const step = (id: string, title: string, wait: string, done: string) =>
      html`<li id="step-${id}" data-state="waiting" data-done="${done}">
        <span class="dot" aria-hidden="true"></span>
        <div><strong>${title}</strong><span class="state">${wait}</span></div>
      </li>`
    const hint = (id: string, words: string) => html`<p id="hint-${id}" class="problem" hidden>${words}</p>`
    const body = html`<div class="start">
      <div class="heading">
        <h1>${text.start.title(count)}</h1>
        <p class="lead">${text.start.lead}</p>
      </div>
      <ol class="story">
        ${text.start.steps.map((words) => html`<li>${words}</li>`)}
      </ol>
      <section
        class="arrival"
        data-stream="/live/stream?deployment=${first.id}"
        data-number="${numberAddress}"
        data-left-out="${text.start.boardLeftOut}"
        aria-label="${text.start.number}"
      >
        <div role="status">
          <ol class="progress">
            ${step('received', text.start.received, text.start.receivedWait, text.start.receivedDone)}${step('board', text.start.board, text.start.boardWait, text.start.boardDone)}
          </ol>
        </div>
        <div class="arrival-number">
          <p class="number" id="start-number" data-value="${count}">${formatCount(count)}</p>
          <p>${text.start.number}</p>
          <p class="aside">${text.start.reload} <a href="/start">${text.start.refresh}</a></p>
        </div>
      </section>
      <noscript><p class="problem">${text.start.noScript}</p></noscript>
      ${hint('blocked', text.start.blocked)}${hint('opted-out', text.start.optedOut)}${hint('bot', text.start.bot)}${hint('test', text.start.test)}
      <p><a class="button" href="/deployments/${first.id}">${text.start.openBoard}</a></p>
      <h2>${text.start.nextTitle}</h2>
      <div class="offers">
        <section>
          <h3>${text.start.ownTitle}</h3>
          <p>${text.start.ownText}</p>
          <div class="snippet">
            <pre id="snippet" tabindex="0"><code>${own}</code></pre>
            <button class="quiet" data-copy="snippet" data-done="${text.start.copied}" hidden>
              ${text.start.copy}
            </button>
          </div>
          <dl class="facts">
            <dt>${text.start.key}</dt>
            <dd><code>${first.key}</code></dd>
            <dt>${text.start.server}</dt>
            <dd><code>${web.config.publicUrl()}</code></dd>
          </dl>
          ${session.scope === 'admin' && html`<p><a href="/deployments/new">${text.start.addTitle}</a></p>`}
        </section>
        <section>
          <h3>${text.start.demoTitle}</h3>
          <p>${text.start.demoText}</p>
          <div class="snippet">
            <pre id="demo" tabindex="0"><code>${text.start.demoCommand}</code></pre>
            <button class="quiet" data-copy="demo" data-done="${text.start.copied}" hidden>${text.start.copy}</button>
          </div>
        </section>
      </div>
    </div>`
    // The page is measured like any other: by the tag, here from the same host whatever name it was opened under.
    const tag = raw(snippetOf('', first.key, first.mode))
    const scripts = [web.script('start'), tag, web.script('copy')]
    return web.send(reply, renderPage({ title: text.start.tabTitle, assets: web.assets, session, scripts, body }))
  })
}
