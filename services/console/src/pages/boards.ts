import { boards, deploymentWithQuality } from '@footfall/dashboards/boards'
import type { Board, ComparisonPanel } from '@footfall/dashboards/board'
import { programmeOverview } from '@footfall/dashboards/programme-overview'
import { createLocalClock, shiftDay } from '@footfall/enrichment/local-time'
import { readMetricSql } from '@footfall/store/metrics'
import { readQuery } from '@footfall/store/queries'
import type { FastifyInstance } from 'fastify'
import { listDeployments, type ListedDeployment } from '../catalogue.ts'
import { formatDay } from '../format.ts'
import { html, type Html } from '../html.ts'
import { createAsker, isStoreDown, loadBoard, type PanelNumbers } from '../load-board.ts'
import { text } from '../messages.ts'
import { readPeriod, type Period, type PeriodQuery } from '../periods.ts'
import { renderBoard, renderFreshness, renderPeriodPicker } from '../render/board.ts'
import { renderNotice, renderPage } from '../render/layout.ts'
import type { Web } from '../web.ts'
import { readView, renderComparison, type View } from './comparison.ts'

type BoardQuery = PeriodQuery & { sort?: string; group?: string }

/** `/`, `/boards/{id}` and `/deployments/{id}`: the boards, each drawn from its definition. */
export function boardPages(app: FastifyInstance, web: Web): void {
  const localTime = createLocalClock()

  /** The latest local day anywhere: no deployment's today is cut off. */
  const latestDay = (deployments: readonly ListedDeployment[]): string =>
    deployments.reduce((latest, { time_zone }) => {
      const { day } = localTime(time_zone, web.now())
      return day > latest ? day : latest
    }, localTime('UTC', web.now()).day)

  /** When each deployment was last heard of (Unix milliseconds); empty while the store is away. */
  const readLastSeen = async (deployments: readonly ListedDeployment[]): Promise<Map<string, number>> => {
    if (deployments.length === 0) return new Map()
    const ids = deployments.map(({ id }) => id)
    return web.store
      .query<{ deployment: string; data_to: string }>(readMetricSql('data_to'), { deployments: ids })
      .then(
        (rows) => new Map(rows.map((row) => [row.deployment, Number(row.data_to)])),
        () => new Map<string, number>(),
      )
  }

  /** Where a deployment's events are when its period has none: after the import of an old log, a board is not just empty. */
  const renderElsewhere = async (deployment: string, period: Period, action: string): Promise<Html | null> => {
    const { from, to } = period
    const [found] = await web.store
      .query<{ last_day: string; days_within: string }>(readQuery('last-day'), { deployment, from, to })
      .catch(() => []) // While the store is away, the page says that.
    if (found === undefined || Number(found.days_within) > 0) return null
    const { last_day: last } = found
    const range = new URLSearchParams({ from: shiftDay(last, -29), to: last })
    return html`<p class="problem" role="note">
      ${text.board.lastEvents(formatDay(last))} <a href="${action}?${range.toString()}">${text.board.showLastEvents}</a>
    </p>`
  }

  const show = async (options: {
    board: Board
    deployments: readonly ListedDeployment[]
    query: BoardQuery
    action: string
    timeZone: string
    zoneNote: string | null
    heading: Html
    deployment?: string
  }) => {
    const { board, deployments, query, action, timeZone } = options
    const today = latestDay(deployments)
    const { period, mistake } = readPeriod(query, today)
    const asker = createAsker({ store: web.store, deployments, ledgerExtras: web.ledgerExtras, now: web.now() })
    const hasTable = board.sections.some(({ panels }) => panels.some(({ shape }) => shape === 'comparison'))
    const total = { from: period.from, to: period.to, interval: 'total' as const }
    const [numbers, lastSeen, refused, coverage, elsewhere] = await Promise.all([
      loadBoard(board, period, asker),
      hasTable ? readLastSeen(deployments) : new Map<string, number>(),
      hasTable ? asker.ask({ metric: 'refused_events', ...total, limit: 200 }) : null,
      hasTable ? asker.ask({ metric: 'visitor_coverage', ...total }) : null,
      options.deployment === undefined ? null : renderElsewhere(options.deployment, period, action),
    ])
    if (isStoreDown(numbers)) return null
    const view: View = readView(query)
    const keep = {
      ...(view.sort === 'title' ? {} : { sort: view.sort }),
      ...(view.group === 'none' ? {} : { group: view.group }),
    }
    const address = (changes: Partial<View>): string => {
      const next = { ...view, ...changes }
      const range: Record<string, string> =
        period.preset === null ? { from: period.from, to: period.to } : { period: period.preset }
      return `${action}?${new URLSearchParams({ ...range, sort: next.sort, group: next.group }).toString()}#deployments`
    }
    const comparison = (panel: ComparisonPanel, own: PanelNumbers): Html =>
      renderComparison({ panel, numbers: own, deployments, view, address, lastSeen, refused, coverage, now: web.now() })
    const context = {
      period,
      comparison,
      ...(options.deployment === undefined ? {} : { deployment: options.deployment }),
    }
    return html`<div class="board-head">
        ${options.heading}${renderPeriodPicker({ action, period, mistake, today, keep })}
      </div>
      ${renderFreshness(numbers, period, timeZone, options.zoneNote)}${elsewhere}${await renderBoard(board, numbers, context)}`
  }

  const storeDown = (title: string, address: string, session: Parameters<typeof renderNotice>[0]['session']): string =>
    renderNotice({
      title: text.problems.boardTitle,
      lead: web.problem?.() ?? text.problems.boardText,
      link: { address, label: text.problems.retry },
      assets: web.assets,
      session,
      active: title,
    })

  const programmePage = (path: string, board: Board): void => {
    app.get<{ Querystring: BoardQuery }>(path, async (request, reply) => {
      const session = web.enter(request, reply)
      if (session === null) return reply
      const deployments = listDeployments(web.registry).filter(({ retired }) => !retired)
      const stopped = web.problem?.() ?? null
      const heading = html`<div class="heading">
        <h1>${board.title}</h1>
        <p class="lead">${board.description}</p>
        ${stopped !== null && html`<p class="problem" role="alert">${stopped}</p>`}
      </div>`
      const body = await show({
        board,
        deployments,
        query: request.query,
        action: path,
        timeZone: 'UTC',
        zoneNote: null,
        heading,
      })
      if (body === null) return web.send(reply, storeDown(path, request.url, session), 503)
      return web.send(reply, renderPage({ title: board.title, active: path, assets: web.assets, session, body }))
    })
  }
  programmePage('/', programmeOverview)
  for (const board of boards) {
    if (board.scope === 'programme' && board !== programmeOverview) programmePage(`/boards/${board.id}`, board)
  }

  app.get<{ Params: { id: string }; Querystring: BoardQuery }>('/deployments/:id', async (request, reply) => {
    const session = web.enter(request, reply)
    if (session === null) return reply
    const deployment = listDeployments(web.registry).find(({ id }) => id === request.params.id)
    if (deployment === undefined) return web.notFound(reply, session)
    const address = `/deployments/${deployment.id}`
    const heading = html`<div class="heading">
      <p class="kicker">${deployment.appName} · ${deployment.organisationName}</p>
      <h1>${deployment.title}</h1>
      <p class="links">
        ${deployment.retired && html`<span class="tag">${text.board.retired}</span> `}${deployment.environment === 'test' && html`<span class="tag">${text.board.testOnly}</span> `}<a
          href="/live?deployment=${deployment.id}"
          >${text.board.watchLive}</a
        >
        <a href="${address}/snippet">${text.board.snippet}</a>
        <a href="/privacy/${deployment.id}">${text.board.privacy}</a>
      </p>
    </div>`
    const body = await show({
      board: deploymentWithQuality,
      deployments: [deployment],
      query: request.query,
      action: address,
      timeZone: deployment.time_zone,
      zoneNote: text.board.timeZone(deployment.time_zone),
      heading,
      deployment: deployment.id,
    })
    if (body === null) return web.send(reply, storeDown('/', request.url, session), 503)
    return web.send(reply, renderPage({ title: deployment.title, active: '/', assets: web.assets, session, body }))
  })
}
