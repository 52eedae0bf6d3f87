import type { FastifyInstance, FastifyReply } from 'fastify'
import { isPrefetch } from '../csrf.ts'
import { html } from '../html.ts'
import { text } from '../messages.ts'
import { renderPage } from '../render/layout.ts'
import { sessionMs, type Scope } from '../sessions.ts'
import type { Web } from '../web.ts'

export const cookieName = 'footfall_session'

/** Where to go after signing in: a page of ours, never another site. */
export const safeNext = (next: string | null | undefined): string =>
  next && /^\/(?![/\\])[\x21-\x7e]*$/.test(next) && !next.startsWith('/log') ? next : '/'

/** `/login`, `/sign-in/{nonce}` and `/logout`. */
export function signInPages(app: FastifyInstance, web: Web): void {
  const cookieOptions = () => ({
    httpOnly: true,
    // Lax: a link from a mail or a terminal must arrive signed in.
    sameSite: 'lax' as const,
    secure: web.config.publicUrl().startsWith('https:'),
    path: '/',
    maxAge: sessionMs / 1000,
  })
  const open = (reply: FastifyReply, scope: Scope, stillHolds?: () => boolean): FastifyReply =>
    reply.setCookie(cookieName, web.sessions.open(scope, stillHolds), cookieOptions())

  const show = (reply: FastifyReply, status: number, mistake: string | null, next: string): FastifyReply =>
    web.send(
      reply,
      renderPage({
        title: text.signIn.title,
        assets: web.assets,
        session: null,
        body: html`<div class="narrow sign-in">
          <h1>${text.signIn.title}</h1>
          <p class="lead">${text.signIn.lead}</p>
          <form method="post" action="/login" class="stacked">
            <input type="hidden" name="next" value="${next}" />
            <div class="field">
              <label for="token">${text.signIn.label}</label>
              <p class="hint" id="token-hint">${text.signIn.hint}</p>
              ${mistake && html`<p class="mistake" id="token-mistake" role="alert">${mistake}</p>`}
              <input
                id="token"
                name="token"
                type="password"
                autocomplete="current-password"
                required
                spellcheck="false"
                aria-describedby="token-hint${mistake && ' token-mistake'}"
              />
            </div>
            <button>${text.signIn.button}</button>
          </form>
          <p class="aside">${text.signIn.linkAbout}</p>
        </div>`,
      }),
      status,
    )

  app.get<{ Querystring: { next?: string } }>('/login', async (request, reply) =>
    show(reply, 200, null, safeNext(request.query.next)),
  )

  app.post('/login', { bodyLimit: 8 * 1024 }, async (request, reply) => {
    const form = web.readForm(request, reply, null)
    if (form === null) return reply
    const next = safeNext(form.get('next'))
    const token = (form.get('token') ?? '').trim()
    if (token === '') return show(reply, 400, text.signIn.missing, next)
    const scope = web.verify(token)
    if (scope === null) {
      const wait = web.throttle.fail(web.addressOf(request.raw))
      if (wait > 0) return show(reply.header('retry-after', String(wait)), 429, text.signIn.wait(wait), next)
      return show(reply, 401, text.signIn.wrong, next)
    }
    return open(reply, scope, () => web.verify(token) === scope).redirect(next, 303)
  })

  app.get<{ Params: { nonce: string } }>('/sign-in/:nonce', async (request, reply) => {
    // Looking at a link in advance must not use it up.
    if (isPrefetch(request)) return reply.code(204).send()
    if (web.signInLinks.redeem(request.params.nonce)) return open(reply, 'admin').redirect('/start', 303)
    if (web.sessionOf(request) !== null) return reply.redirect('/start', 303)
    return show(reply, 410, text.signIn.linkUsed, '/')
  })

  app.post('/logout', { bodyLimit: 8 * 1024 }, async (request, reply) => {
    const session = web.sessionOf(request)
    if (session === null) return reply.redirect('/login', 303)
    if (web.readForm(request, reply, session) === null) return reply
    web.sessions.close(request.cookies[cookieName])
    return reply.clearCookie(cookieName, { path: '/' }).redirect('/login', 303)
  })
}
