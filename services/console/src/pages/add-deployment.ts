import { modes } from '@footfall/contracts/registry'
import { catalogueSchema } from '@footfall/contracts/registry'
import { isPipelineError } from '@footfall/contracts/errors'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { listDeployments, snippetOf } from '../catalogue.ts'
import { html, raw, type Html } from '../html.ts'
import { text } from '../messages.ts'
import { formToken, renderPage } from '../render/layout.ts'
import type { Session } from '../sessions.ts'
import type { Web } from '../web.ts'

const fields = [
  'app',
  'app_name',
  'organisation',
  'organisation_name',
  'country',
  'origins',
  'time_zone',
  'mode',
] as const
type Field = (typeof fields)[number]
type Values = Record<Field, string>
type Mistakes = Partial<Record<Field, string>>

/** An id from a name: `Sää & Katu` becomes `saa-katu`. */
export const slug = (name: string): string =>
  name
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40)
    .replace(/-+$/, '')

const unused = (wanted: string, taken: (id: string) => boolean): string => {
  let id = wanted
  for (let count = 2; taken(id); count++) id = `${wanted}-${count}`
  return id
}

/** A catalogue with the one new deployment, or what is wrong with each field. */
export function readDeploymentForm(
  values: Values,
  known: { app: (id: string) => boolean; organisation: (id: string) => boolean; deployment: (id: string) => boolean },
): { catalogue: object; id: string; mistakes?: undefined } | { mistakes: Mistakes } {
  const mistakes: Mistakes = {}
  const isNewApp = !known.app(values.app)
  const isNewOrganisation = !known.organisation(values.organisation)
  if (isNewApp && values.app_name === '') mistakes.app_name = text.add.needAppName
  else if (isNewApp && slug(values.app_name) === '') mistakes.app_name = text.add.needName
  if (isNewOrganisation && values.organisation_name === '') mistakes.organisation_name = text.add.needOrganisationName
  else if (isNewOrganisation && slug(values.organisation_name) === '') mistakes.organisation_name = text.add.needName
  if (isNewOrganisation && !/^[A-Z]{2}$/.test(values.country)) mistakes.country = text.add.needCountry
  const origins = [...new Set(values.origins.split(/[\s,]+/).filter(Boolean))]
  if (origins.length === 0) mistakes.origins = text.add.needOrigins
  if (!(modes as readonly string[]).includes(values.mode)) mistakes.mode = text.add.chooseMode

  const app = isNewApp ? unused(slug(values.app_name) || 'app', known.app) : values.app
  const organisation = isNewOrganisation
    ? unused(slug(values.organisation_name) || 'organisation', known.organisation)
    : values.organisation
  const id = unused(`${app}-${organisation}`.slice(0, 58).replace(/-+$/, ''), known.deployment)
  const catalogue = {
    organisations: isNewOrganisation
      ? [{ id: organisation, name: values.organisation_name || 'x', type: 'city', country: values.country }]
      : [],
    apps: isNewApp ? [{ id: app, name: values.app_name || 'x' }] : [],
    deployments: [{ id, app, organisation, time_zone: values.time_zone, origins, mode: values.mode }],
  }
  const parsed = catalogueSchema.safeParse(catalogue)
  for (const { path } of parsed.error?.issues ?? []) {
    if (path.includes('origins')) mistakes.origins ??= text.add.badOrigin(origins[Number(path[3])] ?? origins[0] ?? '')
    else if (path.includes('time_zone')) mistakes.time_zone ??= text.add.needTimeZone
    else if (path[0] === 'apps') mistakes.app_name ??= text.add.needName
    else if (path.includes('country')) mistakes.country ??= text.add.needCountry
    else if (path[0] === 'organisations') mistakes.organisation_name ??= text.add.needName
  }
  return Object.keys(mistakes).length > 0 ? { mistakes } : { catalogue, id }
}

/** `/deployments/new` and the snippet of a deployment. */
export function addDeploymentPages(app: FastifyInstance, web: Web): void {
  const show = (
    reply: FastifyReply,
    session: Session,
    values: Values,
    mistakes: Mistakes,
    status: number,
  ): FastifyReply => {
    const field = (name: Field, label: string, hint: string | null, input: (describedBy: Html) => Html): Html => {
      const mistake = mistakes[name]
      const ids = [hint !== null && `${name}-hint`, mistake !== undefined && `${name}-mistake`]
        .filter(Boolean)
        .join(' ')
      const described = html`${ids !== '' && html` aria-describedby="${ids}"`}${mistake !== undefined && raw(' aria-invalid="true"')}`
      return html`<div class="field${mistake !== undefined && ' wrong'}">
        <label for="${name}">${label}</label
        >${hint !== null && html`<p class="hint" id="${name}-hint">${hint}</p>`}${mistake !== undefined && html`<p class="mistake" id="${name}-mistake">${mistake}</p>`}${input(described)}
      </div>`
    }
    const select =
      (name: 'app' | 'organisation', entities: readonly { id: string; name: string }[], fresh: string) =>
      (described: Html): Html =>
        html`<select id="${name}" name="${name}" ${described}>
          <option value="">${fresh}</option>
          ${entities.map(
            (entity) =>
              html`<option value="${entity.id}" ${entity.id === values[name] && raw(' selected')}>
                ${entity.name}
              </option>`,
          )}
        </select>`
    const input =
      (name: Field, more = '') =>
      (described: Html): Html =>
        html`<input id="${name}" name="${name}" value="${values[name]}" ${raw(more)}${described} />`
    const wrong = fields.filter((name) => mistakes[name] !== undefined)
    const body = html`<div class="narrow">
      <h1>${text.add.title}</h1>
      <p class="lead">${text.add.lead}</p>
      ${
        wrong.length > 0 &&
        html`<div class="mistakes" role="alert">
          <h2>${text.add.summary}</h2>
          <ul>
            ${wrong.map((name) => html`<li><a href="#${name === 'mode' ? 'mode-exempt' : name}">${mistakes[name]}</a></li>`)}
          </ul>
        </div>`
      }
      <form method="post" action="/deployments/new" class="stacked" novalidate>
        ${formToken(session)} ${field('app', text.add.app, null, select('app', web.registry.apps(), text.add.newApp))}
        ${field('app_name', text.add.newAppName, text.add.newAppHint, input('app_name', ' maxlength="200"'))}
        ${field('organisation', text.add.organisation, null, select('organisation', web.registry.organisations(), text.add.newOrganisation))}
        ${field('organisation_name', text.add.newOrganisationName, null, input('organisation_name', ' maxlength="200"'))}
        ${field('country', text.add.country, text.add.countryHint, input('country', ' maxlength="2" size="4" class="short" autocapitalize="characters"'))}
        ${field('origins', text.add.origins, text.add.originsHint, (described) => html`<textarea id="origins" name="origins" rows="3" spellcheck="false" ${described}>${values.origins}</textarea>`)}
        ${field('time_zone', text.add.timeZone, text.add.timeZoneHint, input('time_zone', ' list="zones" spellcheck="false"'))}
        <datalist id="zones">
          ${Intl.supportedValuesOf('timeZone').map((zone) => html`<option value="${zone}"></option>`)}
        </datalist>
        <fieldset class="field${mistakes.mode !== undefined && ' wrong'}">
          <legend>${text.add.mode}</legend>
          ${mistakes.mode !== undefined && html`<p class="mistake">${mistakes.mode}</p>`}${modes.map(
            (mode) =>
              html`<div class="choice">
                <input
                  type="radio"
                  id="mode-${mode}"
                  name="mode"
                  value="${mode}"
                  ${values.mode === mode && raw(' checked')}
                  aria-describedby="mode-${mode}-hint"
                /><label for="mode-${mode}">${text.add.modes[mode][0]}</label>
                <p class="hint" id="mode-${mode}-hint">${text.add.modes[mode][1]}</p>
              </div>`,
          )}
        </fieldset>
        <button>${text.add.submit}</button>
      </form>
    </div>`
    return web.send(
      reply,
      renderPage({ title: text.add.title, active: '/deployments/new', assets: web.assets, session, body }),
      status,
    )
  }

  app.get('/deployments/new', async (request, reply) => {
    const session = web.enter(request, reply, 'admin')
    if (session === null) return reply
    const zone = web.registry.deployments()[0]?.deployment.time_zone ?? ''
    const values = {
      ...(Object.fromEntries(fields.map((name) => [name, ''])) as Values),
      time_zone: zone,
      mode: 'exempt',
    }
    return show(reply, session, values, {}, 200)
  })

  app.post('/deployments/new', { bodyLimit: 32 * 1024 }, async (request, reply) => {
    const session = web.enter(request, reply, 'admin')
    if (session === null) return reply
    const form = web.readForm(request, reply, session)
    if (form === null) return reply
    const values = Object.fromEntries(fields.map((name) => [name, (form.get(name) ?? '').trim()])) as Values
    values.country = values.country.toUpperCase()
    const state = web.registry.state()
    const read = readDeploymentForm(values, {
      app: (id) => state.apps.has(id),
      organisation: (id) => state.organisations.has(id),
      deployment: (id) => state.deployments.has(id),
    })
    if (read.mistakes) return show(reply, session, values, read.mistakes, 422)
    try {
      await web.registry.apply(read.catalogue, { actor: 'console' })
    } catch (error) {
      if (!isPipelineError(error, 'INVALID_REQUEST')) throw error
      return show(reply, session, values, { app: error.message }, 422)
    }
    return reply.redirect(`/deployments/${read.id}/snippet`, 303)
  })

  app.get<{ Params: { id: string } }>('/deployments/:id/snippet', async (request, reply) => {
    const session = web.enter(request, reply)
    if (session === null) return reply
    const deployment = listDeployments(web.registry).find(({ id }) => id === request.params.id)
    if (deployment === undefined) return web.notFound(reply, session)
    const body = html`<div class="narrow">
      <h1>${text.snippet.title(deployment.title)}</h1>
      ${
        deployment.key === null
          ? html`<p class="problem">${text.snippet.noKey}</p>`
          : html`<p class="lead">${text.snippet.lead}</p>
              <div class="snippet">
                <pre
                  id="snippet"
                  tabindex="0"
                ><code>${snippetOf(web.config.publicUrl(), deployment.key, deployment.mode)}</code></pre>
                <button class="quiet" data-copy="snippet" data-done="${text.start.copied}" hidden>
                  ${text.start.copy}
                </button>
              </div>
              <p>${text.snippet.withPolicy}</p>
              ${deployment.mode === 'consent' && html`<p>${text.snippet.withConsent}</p>`}`
      }
      <dl class="facts">
        <dt>${text.snippet.origins}</dt>
        <dd>
          ${deployment.origins.length === 0 ? text.snippet.noOrigins : deployment.origins.map((origin) => html`<code>${origin}</code> `)}
        </dd>
      </dl>
      <p>${text.snippet.check}</p>
      <p class="links">
        <a class="button" href="/live?deployment=${deployment.id}">${text.board.watchLive}</a>
        <a href="/deployments/${deployment.id}">${text.start.openBoard}</a>
      </p>
    </div>`
    return web.send(
      reply,
      renderPage({ title: text.board.snippet, assets: web.assets, session, scripts: [web.script('copy')], body }),
    )
  })
}
