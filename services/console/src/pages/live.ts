import { readQuery } from '@footfall/store/queries'
import type { FastifyInstance } from 'fastify'
import { listDeployments } from '../catalogue.ts'
import { html, raw } from '../html.ts'
import type { LiveEvent, LiveRefusal } from '../live-feed.ts'
import { text } from '../messages.ts'
import { renderPage } from '../render/layout.ts'
import type { Web } from '../web.ts'
import { renderBeacon, renderMore, renderRefusal } from './live-rows.ts'

/** Keeps proxies from closing a silent stream, and finds out who has gone. */
const pingMs = 5_000
const shownMinutes = 30
const mostStreams = 100

type Stored<Row> = { [Name in keyof Row]: Row[Name] extends number ? string | number : Row[Name] }

/** What arrived in the last half hour, from the store; empty while it is away: the stream goes on. */
async function readRecent(web: Web, deployment: string): Promise<{ events: LiveEvent[]; refusals: LiveRefusal[] }> {
  const parameters = { deployment, since: web.now() - shownMinutes * 60_000 }
  try {
    const [events, refusals] = await Promise.all([
      web.store.query<Stored<LiveEvent>>(readQuery('recent-events'), parameters),
      web.store.query<Stored<LiveRefusal>>(readQuery('recent-refusals'), parameters),
    ])
    return {
      events: events.map((event) => ({
        ...event,
        received_at: Number(event.received_at),
        rating: Number(event.rating),
      })),
      refusals: refusals.map((refusal) => ({ ...refusal, at: Number(refusal.at), count: Number(refusal.count) })),
    }
  } catch {
    return { events: [], refusals: [] }
  }
}

/** `/live` and its stream: what arrives and what is refused, for all or one deployment. */
export function livePage(app: FastifyInstance, web: Web): void {
  const titleOf = (id: string): string =>
    listDeployments(web.registry).find((deployment) => deployment.id === id)?.title ?? id
  const streams = new Set<() => void>()
  app.addHook('preClose', async () => {
    for (const end of streams) end()
    web.feed.close()
  })

  app.get<{ Querystring: { deployment?: string } }>('/live', async (request, reply) => {
    const session = web.enter(request, reply)
    if (session === null) return reply
    const deployments = listDeployments(web.registry)
    const chosen = deployments.find(({ id }) => id === request.query.deployment)?.id ?? ''
    const { events, refusals } = await readRecent(web, chosen)
    const stream = `/live/stream${chosen === '' ? '' : `?deployment=${encodeURIComponent(chosen)}`}`
    const body = html`<div class="heading">
        <h1>${text.live.title}</h1>
        <p class="lead">${text.live.lead}</p>
      </div>
      <form class="filter" method="get" action="/live">
        <label
          >${text.live.choose}
          <select name="deployment">
            <option value="">${text.live.all}</option>
            ${deployments.map(
              ({ id, title }) => html`<option value="${id}" ${id === chosen && raw(' selected')}>${title}</option>`,
            )}
          </select></label
        >
        <button class="quiet">${text.live.show}</button>
      </form>
      <div
        class="live"
        data-stream="${stream}"
        data-connected="${text.live.connected}"
        data-lost="${text.live.lost}"
        data-paused="${text.live.paused}"
      >
        <div class="live-bar">
          <p id="live-status" role="status">${text.live.connecting}</p>
          <button
            id="live-pause"
            class="quiet"
            hidden
            data-pause="${text.live.pause}"
            data-resume="${text.live.resume}"
          >
            ${text.live.pause}
          </button>
        </div>
        <noscript><p class="problem">${text.live.noScript}</p></noscript>
        <div class="columns">
          <section aria-labelledby="arriving">
            <h2 id="arriving">${text.live.arriving}</h2>
            ${events.length === 0 && html`<p class="empty">${text.live.nothing}</p>`}
            <ol id="beacons" class="feed">
              ${events.map((event) => renderBeacon(event, titleOf))}
            </ol>
          </section>
          <section aria-labelledby="refused">
            <h2 id="refused">${text.live.refused}</h2>
            ${refusals.length === 0 && html`<p class="empty">${text.live.nothingRefused}</p>`}
            <ol id="refusals" class="feed">
              ${refusals.map((refusal) => renderRefusal(refusal, titleOf))}
            </ol>
          </section>
        </div>
      </div>`
    return web.send(
      reply,
      renderPage({
        title: text.live.title,
        active: '/live',
        assets: web.assets,
        session,
        scripts: [web.script('live')],
        body,
      }),
    )
  })

  app.get<{ Querystring: { deployment?: string } }>(
    '/live/stream',
    { exposeHeadRoute: false },
    async (request, reply) => {
      if (web.sessionOf(request) === null) return reply.code(401).send('')
      if (streams.size >= mostStreams) return reply.code(503).header('retry-after', '30').send('')
      reply.hijack()
      const { raw: socket } = reply
      socket.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
        'x-content-type-options': 'nosniff',
      })
      const send = (kind: string, message: object): void => {
        // A reader that does not keep up misses events rather than filling our memory.
        if (socket.writableLength < 256 * 1024) socket.write(`event: ${kind}\ndata: ${JSON.stringify(message)}\n\n`)
      }
      const leave = web.feed.watch({
        deployment: request.query.deployment || null,
        event: (event) =>
          send('beacon', { markup: renderBeacon(event, titleOf).markup, test: event.test, bot: event.bot }),
        refusal: (refusal) => send('refusal', { markup: renderRefusal(refusal, titleOf).markup }),
        more: (count) => send('beacon', { markup: renderMore(count).markup, test: false, bot: false }),
      })
      const pinging = setInterval(() => {
        // Signed out, or the token revoked: nothing more is shown.
        if (web.sessionOf(request) === null) end()
        else socket.write(': still here\n\n')
      }, pingMs)
      const end = (): void => {
        clearInterval(pinging)
        leave()
        streams.delete(end)
        socket.end()
      }
      streams.add(end)
      request.raw.on('close', end)
      send('ready', {})
    },
  )
}
