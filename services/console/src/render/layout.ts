import type { Session } from '../sessions.ts'
import { html, raw, type Html } from '../html.ts'
import { text } from '../messages.ts'

/** Addresses of the served files, with a hash of their content. */
export interface AssetPaths {
  readonly style: string
  readonly live: string
  readonly start: string
  readonly copy: string
  readonly icon: string
}

export interface PageOptions {
  readonly title: string
  readonly assets: AssetPaths
  readonly session: Session | null
  /** Which entry of the navigation this page is. */
  readonly active?: string
  readonly scripts?: readonly Html[]
  readonly body: Html
}

const mark = raw(
  '<svg class="mark" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><ellipse cx="8" cy="8.5" rx="3.6" ry="5.2"/><ellipse cx="8.6" cy="17.4" rx="2.4" ry="2.6"/><ellipse cx="17" cy="5.6" rx="2.7" ry="4"/><ellipse cx="17.4" cy="12.6" rx="1.8" ry="2"/></svg>',
)

export const hidden = (words: string): Html => html`<span class="visually-hidden"> ${words}</span>`

/** The form token that every form of a session carries. */
export const formToken = (session: Session): Html =>
  html`<input type="hidden" name="form_token" value="${session.formToken}" />`

function header(options: PageOptions): Html {
  const { session, active } = options
  const entries: [string, string][] = [
    ['/', text.nav.overview],
    ['/live', text.nav.live],
    ['/boards/data-quality', text.nav.quality],
    ['/boards/pipeline-health', text.nav.pipeline],
    ['/registry', text.nav.registry],
    ['/definitions', text.nav.definitions],
  ]
  const link = ([address, label]: [string, string]): Html =>
    html`<li><a href="${address}" ${active === address ? raw(' aria-current="page"') : ''}>${label}</a></li>`
  return html`<header class="site">
    <div class="inner">
      <a class="brand" href="/">${mark}<span>${text.product}</span></a>
      ${
        session &&
        html`<nav aria-label="${text.nav.label}">
            <ul>
              ${entries.map(link)}
            </ul>
          </nav>
          <div class="actions">
            ${session.scope === 'admin' && html`<a class="button quiet" href="/deployments/new">${text.nav.add}</a>`}
            <form method="post" action="/logout">
              ${formToken(session)}<button class="link">${text.nav.signOut}</button>
            </form>
          </div>`
      }
    </div>
  </header>`
}

/** A whole page. */
export function renderPage(options: PageOptions): string {
  const { title, assets, body, scripts = [] } = options
  return html`<!doctype html>
    <html lang="${text.language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · ${text.product}</title>
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        <link rel="icon" href="${assets.icon}" type="image/svg+xml" />
        <link rel="stylesheet" href="${assets.style}" />
        ${scripts}
      </head>
      <body>
        <a class="skip" href="#content">${text.skip}</a>
        ${header(options)}
        <main id="content" tabindex="-1">${body}</main>
        <footer class="site">
          <div class="inner"><p>${text.footer}</p></div>
        </footer>
      </body>
    </html>`.markup
}

/** A page that says one thing: what is wrong and where to go. */
export function renderNotice(
  options: Omit<PageOptions, 'body'> & { lead: string; link: { address: string; label: string } },
): string {
  const { title, lead, link } = options
  return renderPage({
    ...options,
    body: html`<div class="narrow notice-page">
      <h1>${title}</h1>
      <p class="lead">${lead}</p>
      <p><a class="button" href="${link.address}">${link.label}</a></p>
    </div>`,
  })
}
