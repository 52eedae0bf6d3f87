import type { Change } from '@footfall/contracts/registry'
import { metricDefinitions } from '@footfall/store/metrics'
import type { FastifyInstance } from 'fastify'
import { listDeployments } from '../catalogue.ts'
import { formatTime } from '../format.ts'
import { html, type Html } from '../html.ts'
import { text } from '../messages.ts'
import { renderPage } from '../render/layout.ts'
import type { Web } from '../web.ts'

const shownRevisions = 50

/** What a change touched, without what it holds: keys and tokens are named by their owner only. */
function describeChange(change: Change): string {
  const kinds = text.registryPage.kinds
  switch (change.kind) {
    case 'key':
      return `${kinds.key} ${change.value.deployment}${change.value.revoked_at === null ? '' : ' (revoked)'}`
    case 'token':
      return `${kinds.token} ${change.value.id}, ${change.value.scope}${change.value.revoked_at === null ? '' : ' (revoked)'}`
    case 'retire':
      return `${kinds.retire}: ${change.value.entity} ${change.value.id}`
    case 'organisation':
    case 'app':
    case 'deployment':
      return `${kinds[change.kind]} ${change.value.id}`
  }
}

function table(caption: string, columns: readonly string[], rows: readonly (readonly (Html | string)[])[]): Html {
  if (rows.length === 0) return html`<p class="empty">${text.registryPage.none}</p>`
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}">
    <table>
      <caption class="visually-hidden">
        ${caption}
      </caption>
      <thead>
        <tr>
          ${columns.map((column) => html`<th scope="col">${column}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ([first = '', ...rest]) =>
            html`<tr>
              <th scope="row">${first}</th>
              ${rest.map((cell) => html`<td>${cell}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`
}

/** `/registry` with its history, and `/definitions`. */
export function referencePages(app: FastifyInstance, web: Web): void {
  app.get('/registry', async (request, reply) => {
    const session = web.enter(request, reply)
    if (session === null) return reply
    const words = text.registryPage
    const deployments = listDeployments(web.registry)
    const history = await web.registry.history(shownRevisions)
    const section = (id: string, title: string, content: Html): Html =>
      html`<section aria-labelledby="${id}">
        <h2 id="${id}">${title}</h2>
        ${content}
      </section>`
    const code = (value: string): Html => html`<code>${value}</code>`
    const body = html`<div class="heading">
        <h1>${words.title}</h1>
        <p class="lead">${words.lead}</p>
        <p class="aside">${words.revision(web.registry.revision())}</p>
      </div>
      ${section(
        'deployments',
        words.deployments,
        table(
          words.deployments,
          [
            words.name,
            words.id,
            text.board.app,
            text.board.organisation,
            text.snippet.origins,
            text.add.timeZone,
            words.mode,
          ],
          deployments.map((deployment) => [
            html`<a href="/deployments/${deployment.id}">${deployment.title}</a
              >${deployment.retired && html` <span class="tag">${text.board.retired}</span>`}`,
            code(deployment.id),
            deployment.appName,
            deployment.organisationName,
            html`${deployment.origins.map((origin) => html`<code>${origin}</code> `)}`,
            deployment.time_zone,
            text.add.modes[deployment.mode][0],
          ]),
        ),
      )}
      ${section(
        'apps',
        words.apps,
        table(
          words.apps,
          [words.name, words.id, words.repository, words.licence],
          web.registry
            .apps()
            .map((entity) => [
              entity.name,
              code(entity.id),
              entity.repository === undefined
                ? ''
                : html`<a href="${entity.repository}" rel="noreferrer">${entity.repository}</a>`,
              entity.licence ?? '',
            ]),
        ),
      )}
      ${section(
        'organisations',
        words.organisations,
        table(
          words.organisations,
          [words.name, words.id, words.type, words.country],
          web.registry.organisations().map((entity) => [entity.name, code(entity.id), entity.type, entity.country]),
        ),
      )}
      ${section(
        'history',
        words.history,
        table(
          words.history,
          [words.revision(0).split(' ')[0]!, words.when, words.who, words.what],
          history.map((record) => [
            String(record.revision),
            `${formatTime(record.at, 'UTC')} UTC`,
            record.actor,
            record.changes.map(describeChange).join('; '),
          ]),
        ),
      )}`
    return web.send(reply, renderPage({ title: words.title, active: '/registry', assets: web.assets, session, body }))
  })

  app.get('/definitions', async (request, reply) => {
    const session = web.enter(request, reply)
    if (session === null) return reply
    const words = text.definitionsPage
    const body = html`<div class="heading">
        <h1>${words.title}</h1>
        <p class="lead">${words.lead}</p>
      </div>
      <div class="definitions">
        ${metricDefinitions.map(
          (definition) =>
            html`<section id="${definition.id}" aria-labelledby="${definition.id}-title">
              <h2 id="${definition.id}-title">${definition.title}</h2>
              <p class="aside">
                <code>${definition.id}</code> · ${definition.unit} · ${text.board.version(definition.version)}
              </p>
              <p>${definition.description}</p>
              <dl class="definition">
                <dt>${text.board.inclusions}</dt>
                <dd>${definition.inclusions}</dd>
                <dt>${text.board.exclusions}</dt>
                <dd>${definition.exclusions}</dd>
                <dt>${text.board.source}</dt>
                <dd>${definition.source}</dd>
              </dl>
            </section>`,
        )}
      </div>`
    return web.send(
      reply,
      renderPage({ title: words.title, active: '/definitions', assets: web.assets, session, body }),
    )
  })
}
