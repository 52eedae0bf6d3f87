import cookie from '@fastify/cookie'
import { PipelineError } from '@footfall/contracts/errors'
import { toPipelineError } from '@footfall/contracts/foreign-error'
import { awaitHandlers } from '@footfall/http/http-options'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { registerApi } from './api.ts'
import { serveAssets } from './assets.ts'
import { isOwnForm } from './csrf.ts'
import { html } from './html.ts'
import { createLiveFeed } from './live-feed.ts'
import { text } from './messages.ts'
import { addDeploymentPages } from './pages/add-deployment.ts'
import { boardPages } from './pages/boards.ts'
import { livePage } from './pages/live.ts'
import { referencePages } from './pages/reference.ts'
import { cookieName, signInPages } from './pages/sign-in.ts'
import { startPage } from './pages/start.ts'
import { renderNotice } from './render/layout.ts'
import { createSessions, sameText, type Scope, type Session } from './sessions.ts'
import { createThrottle } from './throttle.ts'
import type { ConsoleParts, Web } from './web.ts'

export type { ConsoleParts } from './web.ts'

/** No inline script or style, nothing from elsewhere, in nobody's frame. */
const headers = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  // Not `no-referrer`: that would send forms with "Origin: null".
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'cache-control': 'no-store',
}

/** True for who reads errors as JSON rather than as a page. */
const isProgram = ({ url, headers }: FastifyRequest): boolean =>
  /^\/(api|v1)\//.test(url) || !(headers.accept ?? '').includes('text/html')

const bearerOf = ({ headers }: FastifyRequest): string | undefined =>
  /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]

/** What a request's Bearer token allows; null without one, or with a wrong one. @throws TOO_MANY_TRIES */
export type Authorise = (request: FastifyRequest, reply: FastifyReply) => Scope | null

/**
 * Adds the console's pages and its API to an app; hooks, parsers and headers hold for these routes alone.
 * @returns how it reads tokens, for routes of other services.
 */
export async function registerConsole(
  app: FastifyInstance,
  parts: ConsoleParts,
): Promise<{ readonly authorise: Authorise }> {
  const { registry, config, now } = parts
  const sessions = createSessions(now)
  const verify = (token: string): Scope | null =>
    sameText(token, config.adminToken()) ? 'admin' : registry.verifyToken(token)

  const throttle = createThrottle({ now })
  const authorise: Authorise = (request, reply) => {
    const token = bearerOf(request)
    const scope = token === undefined ? null : verify(token)
    if (token === undefined || scope !== null) return scope
    const wait = throttle.fail(parts.addressOf(request.raw))
    if (wait === 0) return null
    void reply.header('retry-after', String(wait))
    throw new PipelineError('TOO_MANY_TRIES')
  }

  await app.register(async (scope) => {
    awaitHandlers(scope)
    await scope.register(cookie)
    scope.addHook('onRequest', async (_request, reply) => void reply.headers(headers))
    const sessionOf = (request: FastifyRequest): Session | null => sessions.find(request.cookies[cookieName])

    await scope.register(async (api) => {
      api.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) => {
        const known = toPipelineError(error)
        if (known.code === 'UNAUTHORIZED') void reply.header('www-authenticate', 'Bearer')
        return reply.code(known.status).send(known.toBody())
      })
      registerApi(api, parts, (request, reply) => {
        if (bearerOf(request) !== undefined) return authorise(request, reply)
        // Pages ask for numbers with their session; what changes something needs a token, which no other site can send.
        return request.method === 'GET' && sessionOf(request) !== null ? 'read' : null
      })
    })

    await scope.register(async (pages) => {
      const assets = serveAssets(pages)
      const send: Web['send'] = (reply, page, status = 200) =>
        reply.code(status).type('text/html; charset=utf-8').send(page)
      const notice = (reply: FastifyReply, status: number, title: string, lead: string, session: Session | null) => {
        const link = { address: '/', label: text.problems.toOverview }
        return send(reply, renderNotice({ title, lead, link, assets, session }), status)
      }
      const web: Web = {
        ...parts,
        sessions,
        assets,
        verify,
        send,
        sessionOf,
        throttle,
        feed: createLiveFeed(parts.log, (error) =>
          pages.log.error({ err: error }, 'the live view no longer follows the log'),
        ),
        script: (name) => html`<script type="module" src="${assets[name]}"></script>`,
        notFound: (reply, session) =>
          notice(reply, 404, text.problems.notFoundTitle, text.problems.notFoundText, session),
        enter(request, reply, needed = 'read') {
          const session = sessionOf(request)
          if (session === null) {
            void reply.redirect(`/login?next=${encodeURIComponent(request.method === 'GET' ? request.url : '/')}`, 303)
            return null
          }
          if (needed === 'admin' && session.scope !== 'admin') {
            void notice(reply, 403, text.problems.forbiddenTitle, text.problems.forbiddenText, session)
            return null
          }
          return session
        },
        readForm(request, reply, session) {
          const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams()
          const known = session === null || sameText(form.get('form_token') ?? '', session.formToken)
          if (known && isOwnForm(request, config.publicUrl())) return form
          void notice(reply, 403, text.problems.formTitle, text.problems.formText, session)
          return null
        },
      }
      pages.removeAllContentTypeParsers()
      pages.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) =>
        done(null, new URLSearchParams(String(body))),
      )
      pages.setErrorHandler(async (error: Error & { statusCode?: number }, request, reply) => {
        const known = toPipelineError(error)
        if (known.code === 'INTERNAL') pages.log.error({ err: error }, 'a page failed')
        if (isProgram(request)) return reply.code(known.status).send(known.toBody())
        const session = sessionOf(request)
        return known.status < 500
          ? notice(reply, known.status, text.problems.formTitle, known.message, session)
          : notice(reply, known.status, text.problems.brokenTitle, text.problems.brokenText, session)
      })
      // What no service of this app answers.
      pages.setNotFoundHandler(async (request, reply) => {
        if (isProgram(request)) return reply.code(404).send(new PipelineError('NOT_FOUND').toBody())
        return web.notFound(reply, sessionOf(request))
      })
      signInPages(pages, web)
      startPage(pages, web)
      boardPages(pages, web)
      livePage(pages, web)
      addDeploymentPages(pages, web)
      referencePages(pages, web)
    })
  })
  return { authorise }
}
