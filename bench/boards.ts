import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAsker, loadBoard } from '@footfall/console/load-board'
import { readPeriod } from '@footfall/console/periods'
import { deploymentWithQuality } from '@footfall/dashboards/boards'
import type { Board } from '@footfall/dashboards/board'
import { programmeOverview } from '@footfall/dashboards/programme-overview'
import type { Deployment } from '@footfall/contracts/registry'
import { dirtyDays } from '@footfall/store/fold'
import { pause, sizeOf, startFootfall, type Footfall } from './footfall.ts'
import { generateLoad } from './load.ts'
import { atMost, percentile, reported, type Row } from './row.ts'

/** Events of the demo programme at scale 1. */
const eventsAtScaleOne = 1_370_000
const repeats = 12

/** Every panel of a board fired at once as a page does, each one timed. */
async function firePanels(
  footfall: Footfall,
  board: Board,
  deployments: readonly Deployment[],
  period: string,
): Promise<number[]> {
  const now = Date.now()
  const asker = createAsker({
    store: footfall.store,
    deployments,
    ledgerExtras: async () => ({ in_log: 0, spooled: 0 }),
    now,
  })
  const range = readPeriod({ period }, new Date(now).toISOString().slice(0, 10)).period
  const panels = board.sections.flatMap((section) => section.panels)
  const began = performance.now()
  return Promise.all(
    panels.map(async (panel) => {
      const numbers = await loadBoard(
        { ...board, sections: [{ id: panel.id, title: panel.title, panels: [panel] }] },
        range,
        asker,
      )
      for (const { now: answers } of numbers.values()) {
        const missing = answers.find(({ problem }) => problem !== undefined)
        if (missing) throw new Error(`${panel.id}: ${missing.problem}`)
      }
      return performance.now() - began
    }),
  )
}

/** The boards on the seeded programme while beacons arrive; and what folds cost beside the events. */
export async function benchBoards(events: number): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'footfall-bench-'))
  // The demo refuses the configured data directory: it takes one of its own.
  const footfall = await startFootfall(join(directory, 'none'), [
    'demo',
    '--data',
    join(directory, 'demo'),
    '--scale',
    String(events / eventsAtScaleOne),
  ])
  const { deployments } = await footfall.call<{ deployments: (Deployment & { keys: string[] })[] }>('/api/v1/registry')
  const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)
  while ((await dirtyDays(footfall.store, () => yesterday)).length > 0) await pause(500)

  const busiest = (
    await footfall.store.query<{ deployment: string }>(
      'SELECT deployment FROM fold_daily GROUP BY deployment ORDER BY sum(events) DESC LIMIT 1',
    )
  )[0]!.deployment
  const one = deployments.filter(({ id }) => id === busiest)
  const key = one[0]!.keys[0]!
  const origin = one[0]!.origins[0]!
  const times = { one: [] as number[], year: [] as number[], all: [] as number[], allYear: [] as number[] }
  let isOver = false
  const arriving = (async () => {
    while (!isOver)
      await generateLoad({
        port: footfall.port,
        key,
        origin,
        page: `${origin}/page/`,
        eventsPerRequest: 10,
        seconds: 10,
        requestsPerSecond: 100,
      })
  })()
  await pause(5_000)
  let peak = 0
  for (let turn = 0; turn < repeats; turn++) {
    times.one.push(...(await firePanels(footfall, deploymentWithQuality, one, '30')))
    times.all.push(...(await firePanels(footfall, programmeOverview, deployments, '30')))
    times.year.push(...(await firePanels(footfall, deploymentWithQuality, one, '365')))
    times.allYear.push(...(await firePanels(footfall, programmeOverview, deployments, '365')))
    peak = Math.max(peak, footfall.memoryMegabytes())
  }
  isOver = true
  await arriving
  await footfall.drained()
  for (const table of ['events', 'fold_daily', 'fold_dimensions', 'fold_journeys'])
    await footfall.store.command(`OPTIMIZE TABLE ${table} FINAL`)
  const raw = await sizeOf(footfall.store, 'events')
  const folds = await Promise.all(
    ['fold_daily', 'fold_dimensions', 'fold_journeys'].map((table) => sizeOf(footfall.store, table)),
  )
  await footfall.stop()
  rmSync(directory, { recursive: true, force: true })
  const p95 = (name: string, values: number[], target: number): Row =>
    atMost(`${name}, all panels fired together, 1,000 events/s arriving: panel p95`, {
      value: percentile(values, 0.95),
      unit: 'ms',
      target,
      note: `${raw.rows} events, p50 ${percentile(values, 0.5).toFixed(0)}`,
    })
  return [
    p95('board of one deployment, 30 days', times.one, 200),
    p95('board of one deployment, 12 months', times.year, 200),
    p95('board of all deployments, 30 days', times.all, 500),
    p95('board of all deployments, 12 months', times.allYear, 500),
    atMost('events of the programme on disk after merges, id and offsets included, an event', {
      value: raw.bytes / raw.rows,
      unit: 'B',
      target: 40,
    }),
    atMost('folds on disk against the events', {
      value: (100 * folds.reduce((sum, { bytes }) => sum + bytes, 0)) / raw.bytes,
      unit: '%',
      target: 10,
    }),
    reported('memory at most while boards are read', { value: peak, unit: 'MB' }),
  ]
}
