import type { Across, Board, Panel } from '@footfall/dashboards/board'
import { isPipelineError } from '@footfall/contracts/errors'
import {
  queryLedger,
  queryMetric,
  type Interval,
  type LedgerSums,
  type MeasuredDeployment,
  type MetricAnswer,
} from '@footfall/store/metrics'
import type { QueryParameters, Store } from '@footfall/store/open'
import { meanOfDays } from './combine.ts'
import { text } from './messages.ts'
import type { Period } from './periods.ts'
import type { LedgerExtras } from './web.ts'

/** What came of a question: its answer, or why there is none, in words. */
export type Loaded<Answer = MetricAnswer> =
  | { readonly answer: Answer; readonly problem?: undefined }
  | { readonly answer?: undefined; readonly problem: string; readonly storeDown: boolean }

export interface Question {
  readonly metric: string
  readonly from: string
  readonly to: string
  readonly interval: Interval
  readonly limit?: number
}

/** Asks for numbers of some deployments. */
export interface Asker {
  readonly ask: (question: Question) => Promise<Loaded>
  readonly ledger: () => Promise<Loaded<Ledger>>
}

export type Ledger = LedgerSums & LedgerExtras

/** Statements in flight at once for a page: the store has 16 connections for everybody. */
const mostAtOnce = 6

/** Runs work, at most so many at a time, in the order it came. */
function createGate(most: number): <Result>(work: () => Promise<Result>) => Promise<Result> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (work) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve))
    running += 1
    try {
      return await work()
    } finally {
      running -= 1
      waiting.shift()?.()
    }
  }
}

async function settle<Answer>(work: () => Promise<Answer>): Promise<Loaded<Answer>> {
  try {
    return { answer: await work() }
  } catch (error) {
    if (!isPipelineError(error)) throw error
    const storeDown = error.code === 'STORE_UNAVAILABLE'
    return { problem: storeDown ? text.problems.storeDown : text.problems.panel(error.code), storeDown }
  }
}

/**
 * The store as one page sees it: the same statement is sent once, a few at a time. Panels share most of what they ask
 * (coverage, refusals, how far the data reach; a day's and a total's number come from the same rows).
 */
function shareQueries(store: Store): Store {
  const gate = createGate(mostAtOnce)
  const sent = new Map<string, Promise<unknown[]>>()
  return {
    ...store,
    query<Row>(sql: string, parameters?: QueryParameters, settings?: Record<string, string | number>) {
      const key = JSON.stringify([sql, parameters])
      let rows = sent.get(key) as Promise<Row[]> | undefined
      if (rows === undefined) {
        rows = gate(() => store.query<Row>(sql, parameters, settings))
        sent.set(key, rows)
      }
      return rows
    },
  }
}

/** Asks a page's questions; a question that fails answers with its problem. */
export function createAsker(parts: {
  store: Store
  deployments: readonly MeasuredDeployment[]
  ledgerExtras: (deployment?: string) => Promise<LedgerExtras>
  now: number
}): Asker {
  const { deployments, now } = parts
  const store = shareQueries(parts.store)
  const single = deployments.length === 1 ? deployments[0]!.id : undefined
  let waiting: Promise<LedgerExtras> | undefined
  return {
    ask: (question) =>
      settle(async () => {
        // Once a page: what was waiting when it was asked for is what its numbers lack.
        const { unconsumed_from: unconsumedFrom = null } = await (waiting ??= parts.ledgerExtras())
        return queryMetric(store, question.metric, { ...question, deployments, unconsumedFrom, now })
      }),
    ledger: () =>
      settle(async () => {
        const [sums, extras] = await Promise.all([
          queryLedger(store, { deployment: single }),
          parts.ledgerExtras(single),
        ])
        return { ...sums, ...extras }
      }),
  }
}

/** The answers that a panel needs. */
export interface PanelNumbers {
  readonly now: readonly Loaded[]
  readonly before: readonly Loaded[]
  readonly course: Loaded | null
  readonly ledger: Loaded<Ledger> | null
}

async function loadPanel(panel: Panel, period: Period, asker: Asker): Promise<PanelNumbers> {
  const { from, to, before } = period
  const none = { now: [], before: [], course: null, ledger: null }
  const over = (metric: string, range: { from: string; to: string }, interval: Interval, limit?: number) =>
    asker.ask({ metric, from: range.from, to: range.to, interval, ...(limit === undefined ? {} : { limit }) })
  /** As `over`, for a figure of all deployments together. */
  const together = async (
    { metric, across }: { metric: string; across: Across },
    range: { from: string; to: string },
    interval: Interval,
  ): Promise<Loaded> => {
    if (across !== 'mean of days') return over(metric, range, interval)
    const loaded = await over(metric, range, 'day')
    if (loaded.problem !== undefined) return loaded
    return { answer: { ...loaded.answer, rows: meanOfDays(loaded.answer.rows, interval) } }
  }
  switch (panel.shape) {
    case 'stat': {
      const [now, earlier, course] = await Promise.all([
        together(panel, { from, to }, 'total'),
        together(panel, before, 'total'),
        panel.course === true ? together(panel, { from, to }, period.interval) : null,
      ])
      return { ...none, now: [now], before: [earlier], course }
    }
    case 'trend': {
      const [now, earlier] = await Promise.all([
        together(panel, { from, to }, period.interval),
        together(panel, before, period.interval),
      ])
      return { ...none, now: [now], before: [earlier] }
    }
    case 'ranking':
      // More than are shown: the rest is added up as one row where several deployments meet.
      return { ...none, now: [await over(panel.metric, { from, to }, 'total', 200)] }
    case 'distribution':
      return { ...none, now: [await over(panel.metric, { from, to }, 'total')] }
    case 'comparison': {
      const [now, earlier] = await Promise.all([
        Promise.all(panel.columns.map(({ metric }) => over(metric, { from, to }, 'total'))),
        Promise.all(panel.columns.map(({ metric, better }) => over(metric, better ? before : { from, to }, 'total'))),
      ])
      return { ...none, now, before: earlier }
    }
    case 'ledger':
      return { ...none, ledger: await asker.ledger() }
  }
}

/** Asks for everything on a board at once; a panel that fails does not hold up the others. */
export async function loadBoard(board: Board, period: Period, asker: Asker): Promise<Map<string, PanelNumbers>> {
  const panels = board.sections.flatMap((section) => section.panels)
  const numbers = await Promise.all(panels.map((panel) => loadPanel(panel, period, asker)))
  return new Map(panels.map((panel, index) => [panel.id, numbers[index]!]))
}

/** True when every question failed because the store does not answer. */
export function isStoreDown(numbers: ReadonlyMap<string, PanelNumbers>): boolean {
  const all = [...numbers.values()].flatMap(({ now, ledger }) => [...now, ...(ledger ? [ledger] : [])])
  return all.length > 0 && all.every((loaded) => loaded.problem !== undefined && loaded.storeDown)
}
