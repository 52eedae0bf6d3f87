import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { EventRecord } from '@footfall/contracts/event'
import { checkFolds, dirtyDays, foldDays } from '../src/fold.ts'
import { metricDefinitions, queryMetric, readMetricSql, type MetricRequest } from '../src/metrics.ts'
import { ledgerColumns, toDateTime } from '../src/rows.ts'
import { insertRecords, makeRecord, startTestEngine, type TestEngine } from './engine.ts'

const day = '2026-03-10'
const noon = Date.parse(`${day}T12:00:00Z`)
const minute = 60_000
const later = Date.parse('2026-03-20T00:00:00Z')
const deployments = ['a', 'b'].map((id) => ({ id, time_zone: 'UTC' }))
/** Measured before they have events. */
const launched = deployments.map((deployment) => ({ ...deployment, launched_on: '2026-01-01' }))

let engine: TestEngine
beforeAll(async () => {
  engine = await startTestEngine()
})
afterAll(() => engine.close())
const empty = async () => {
  for (const table of ['events', 'ledger', 'day_marks', 'fold_daily', 'fold_dimensions', 'fold_journeys'])
    await engine.store.command(`TRUNCATE TABLE ${table}`)
}
beforeEach(empty)

const insert = (records: readonly EventRecord[]) => insertRecords(engine.store, records)
const foldAll = async () => foldDays(engine.store, await dirtyDays(engine.store, () => '2026-03-20'), { version: 1 })
const ask = (id: string, more: Partial<MetricRequest> = {}) =>
  queryMetric(engine.store, id, {
    deployments: deployments.slice(0, 1),
    from: day,
    to: day,
    interval: 'total',
    unconsumedFrom: null,
    now: later,
    ...more,
  })
const valueOf = async (id: string, more: Partial<MetricRequest> = {}) => (await ask(id, more)).rows[0]?.value

describe('sessions', () => {
  test('are a visitor’s events of a day, cut where more than 30 minutes pass', async () => {
    await insert([0, 10, 40, 71, 72].map((at) => makeRecord({ at: noon + at * minute, visitor: '7' })))
    expect(await valueOf('sessions')).toBe(2)
    await insert([makeRecord({ at: noon + 102 * minute + 1, visitor: '7' })])
    expect([await valueOf('sessions'), await valueOf('bounce_rate')]).toEqual([3, 1 / 3])
  })

  test('need a visitor: views without one are counted as views and shown as coverage', async () => {
    await insert([makeRecord({ at: noon, visitor: '0' }), makeRecord({ at: noon, visitor: '1' })])
    expect(await ask('page_views')).toMatchObject({ rows: [{ value: 2 }], coverage: { visitors: 0.5 } })
    expect([await valueOf('sessions'), await valueOf('daily_visitors')]).toEqual([1, 1])
  })

  test('begin at their first path, also when another event came first or in the same millisecond', async () => {
    await insert([
      makeRecord({ at: noon, visitor: '7', name: 'search', path: '' }),
      makeRecord({ at: noon, visitor: '7', path: '/first' }),
      makeRecord({ at: noon + 1, visitor: '7', path: '/second' }),
      makeRecord({ at: noon, visitor: '8', name: 'journey_start', journey: 'pay', path: '/form' }),
    ])
    expect((await ask('top_entry_pages')).rows.map(({ dimension, value }) => [dimension, value])).toEqual([
      ['/first', 1],
      ['/form', 1],
    ])
  })

  test('and visitors rest on the same events: who only reported a web vital is neither', async () => {
    await insert([
      makeRecord({ at: noon, visitor: '7' }),
      makeRecord({ at: noon + 1, visitor: '7', name: 'engagement' }),
      makeRecord({ at: noon, visitor: '8', name: 'web_vital' }),
    ])
    expect([await valueOf('sessions'), await valueOf('daily_visitors'), await valueOf('bounce_rate')]).toEqual([
      1, 1, 1,
    ])
  })

  test('know nothing of bots and tests', async () => {
    await insert([makeRecord({ at: noon, bot: true }), makeRecord({ at: noon, test: true }), makeRecord({ at: noon })])
    expect([await valueOf('page_views'), await valueOf('sessions'), await valueOf('bot_share')]).toEqual([1, 1, 0.5])
  })
})

describe('journeys', () => {
  const start = (at: number, more: Partial<EventRecord> = {}) =>
    makeRecord({ at, name: 'journey_start', journey: 'pay', visitor: '1', ...more })
  const complete = (at: number, more: Partial<EventRecord> = {}) =>
    makeRecord({ at, name: 'journey_complete', journey: 'pay', outcome: 'completed', visitor: '1', ...more })
  const counts = async (more: Partial<MetricRequest> = {}) => ({
    started: await valueOf('journeys_started', more),
    completed: await valueOf('journeys_completed', more),
    joined: await valueOf('journey_joined_share', more),
    ambiguous: await valueOf('journey_ambiguous_share', more),
  })

  test.each<[string, () => EventRecord[], object]>([
    [
      'with an id',
      () => [start(noon, { journey_id: 'x' }), complete(noon + 1, { journey_id: 'x' })],
      { started: 1, completed: 1, joined: 0, ambiguous: 0 },
    ],
    [
      'over a form of four pages that loses the id',
      () => [start(noon, { journey_id: 'x' }), complete(noon + 9 * minute)],
      { started: 1, completed: 1, joined: 1, ambiguous: 0 },
    ],
    [
      'twice with one id, as the back button does, is one start',
      () => [
        start(noon, { journey_id: 'x' }),
        start(noon + 1, { journey_id: 'x' }),
        complete(noon + 2, { journey_id: 'x' }),
      ],
      { started: 1, completed: 1, joined: 0, ambiguous: 0 },
    ],
    [
      'completed twice counts once',
      () => [
        start(noon, { journey_id: 'x' }),
        complete(noon + 1, { journey_id: 'x' }),
        complete(noon + 2, { journey_id: 'x' }),
      ],
      { started: 1, completed: 1, joined: 0, ambiguous: 0 },
    ],
    [
      'in two tabs: each completion takes a start, the latest first, and the first is ambiguous',
      () => [start(noon), start(noon + 1), complete(noon + 2), complete(noon + 3)],
      { started: 2, completed: 2, joined: 1, ambiguous: 0.5 },
    ],
    [
      'more completions than starts stay below 100 %',
      () => [start(noon), complete(noon + 1), complete(noon + 2), complete(noon + 3)],
      { started: 1, completed: 1, joined: 1, ambiguous: 0 },
    ],
    [
      'a completion before its start joins nothing',
      () => [complete(noon), start(noon + 1)],
      { started: 1, completed: 0, joined: null, ambiguous: null },
    ],
    [
      'another visitor’s completion joins nothing',
      () => [start(noon), complete(noon + 1, { visitor: '2' })],
      { started: 1, completed: 0, joined: null, ambiguous: null },
    ],
    [
      'another journey’s completion joins nothing',
      () => [start(noon), complete(noon + 1, { journey: 'other' })],
      { started: 1, completed: 0, joined: null, ambiguous: null },
    ],
    [
      'an outcome that is no completion',
      () => [start(noon, { journey_id: 'x' }), complete(noon + 1, { journey_id: 'x', outcome: 'failed' })],
      { started: 1, completed: 0, joined: null, ambiguous: null },
    ],
    [
      'an outcome that is one',
      () => [start(noon, { journey_id: 'x' }), complete(noon + 1, { journey_id: 'x', outcome: 'not_eligible' })],
      { started: 1, completed: 1, joined: 0, ambiguous: 0 },
    ],
    [
      'without a visitor and without an id cannot be joined',
      () => [start(noon, { visitor: '0' }), complete(noon + 1, { visitor: '0' })],
      { started: 1, completed: 0, joined: null, ambiguous: null },
    ],
  ])('%s', async (_name, make, expected) => {
    await insert(make())
    expect(await counts()).toEqual(expected)
    await foldAll()
    expect(await counts()).toEqual(expected)
  })

  test('that end after midnight belong to the day they began, and to no other', async () => {
    const eve = Date.parse('2026-03-10T23:58:00Z')
    await insert([start(eve, { journey_id: 'x' }), complete(eve + 5 * minute, { journey_id: 'x' })])
    expect(await counts()).toMatchObject({ started: 1, completed: 1 })
    expect(await counts({ from: '2026-03-11', to: '2026-03-11' })).toMatchObject({ started: 0, completed: 0 })
  })

  const days = (first: string, last = first) => ({ from: first, to: last })

  test('completed four days later with the same id are not, whatever the range', async () => {
    await insert([start(noon, { journey_id: 'x' }), complete(noon + 4 * 24 * 60 * minute, { journey_id: 'x' })])
    for (const range of [days(day), days(day, '2026-03-14')])
      expect(await counts(range), range.to).toMatchObject({ started: 1, completed: 0 })
  })

  test('are not completed by what has their id and came before them', async () => {
    await insert([complete(noon, { journey_id: 'x' }), start(noon + 1, { journey_id: 'x' })])
    expect(await counts()).toMatchObject({ started: 1, completed: 0 })
  })

  test('count one completion once when its start arrives after the next day was folded', async () => {
    const morning = noon + 20 * 60 * minute
    await insert([start(morning), complete(morning + 1, { journey_id: 'x' })])
    await foldAll()
    expect(await counts(days('2026-03-11'))).toMatchObject({ started: 1, completed: 1, joined: 1 })
    await insert([start(noon, { journey_id: 'x' })])
    for (const pass of ['events', 'folds']) {
      expect(await counts(days(day, '2026-03-11')), pass).toMatchObject({ started: 2, completed: 1, joined: 0 })
      await foldAll()
      expect(await checkFolds(engine.store)).toEqual([])
    }
  })

  test('come to the same for a day alone, for all days together and for folds, in any order of arrival', async () => {
    type Sums = readonly [day: string, started: number, completed: number, joined: number, ambiguous: number]
    const range = Array.from({ length: 5 }, (_, index) => `2026-03-${10 + index}`)

    /** By plain loops, a day at a time. */
    const countDay = (records: readonly EventRecord[], on: string): Sums => {
      const next = range[range.indexOf(on) + 1] ?? ''
      const before = range[range.indexOf(on) - 1] ?? ''
      const steps = records.filter(({ journey }) => journey === 'pay')
      const starts = steps.filter(({ name }) => name === 'journey_start')
      const ends = steps.filter(({ name }) => name === 'journey_complete')
      const open: { at: number; visitor: string; kind: 0 | 1 }[] = []
      let [started, completed, joined, ambiguous] = [0, 0, 0, 0]
      for (const id of new Set(starts.filter(({ local_day }) => local_day === on).map((step) => step.journey_id))) {
        const own = starts.filter((step) => step.journey_id === id && step.local_day === on)
        if (id === '') {
          started += own.length
          for (const { at, visitor } of own) open.push({ at, visitor, kind: 0 })
          continue
        }
        if (starts.some((step) => step.journey_id === id && step.local_day === before)) continue
        started++
        own.sort((x, y) => x.at - y.at || Number(x.visitor) - Number(y.visitor))
        const first = own[0]!
        const isDone = ends.some(
          (end) => end.journey_id === id && [on, next].includes(end.local_day) && end.at >= first.at,
        )
        if (isDone) completed++
        else open.push({ at: first.at, visitor: first.visitor, kind: 0 })
      }
      for (const end of ends.filter(({ local_day }) => local_day === on)) {
        const isKnown =
          end.journey_id !== '' &&
          starts.some(
            (step) => step.journey_id === end.journey_id && [before, on].includes(step.local_day) && step.at <= end.at,
          )
        if (!isKnown) open.push({ at: end.at, visitor: end.visitor, kind: 1 })
      }
      for (const visitor of ['1', '2']) {
        let waiting = 0
        for (const { kind } of open
          .filter((step) => step.visitor === visitor)
          .sort((x, y) => x.at - y.at || x.kind - y.kind)) {
          if (kind === 0) waiting++
          else if (waiting > 0) {
            joined++
            if (waiting > 1) ambiguous++
            waiting--
          }
        }
      }
      return [on, started, completed + joined, joined, ambiguous]
    }
    const sums = async (view: 'journeys' | 'raw_journeys', from: string, to: string): Promise<Sums[]> =>
      (
        await engine.store.query<Record<'day' | 'started' | 'completed' | 'joined' | 'ambiguous', string>>(
          `SELECT toString(local_day) AS day, started, completed, joined, ambiguous
           FROM ${view}(deployments = ['a'], from = {from:Date}, to = {to:Date}${view === 'journeys' ? '' : ', all_days = 1'})
           ORDER BY day`,
          { from, to },
        )
      ).map((row) => [row.day, Number(row.started), Number(row.completed), Number(row.joined), Number(row.ambiguous)])

    const step = fc.record({
      hours: fc.integer({ min: 0, max: 119 }),
      kind: fc.constantFrom('journey_start', 'journey_start', 'journey_complete'),
      id: fc.constantFrom('', 'x', 'y'),
      visitor: fc.constantFrom('0', '1', '2'),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), fc.nat(30), async (list, early) => {
        await empty()
        const midnight = Date.parse(`${day}T00:00:00Z`)
        const records = list.map(({ hours, kind, id, visitor }) =>
          (kind === 'journey_start' ? start : complete)(midnight + hours * 60 * minute, { journey_id: id, visitor }),
        )
        // Some are folded before the others come.
        for (const part of [records.slice(0, early), records.slice(early)]) {
          if (part.length > 0) await insert(part)
          await foldAll()
        }
        const expected = range.map((on) => countDay(records, on)).filter(([, started]) => started > 0)
        expect(await sums('journeys', range[0]!, range.at(-1)!), 'folds').toEqual(expected)
        expect(await sums('raw_journeys', range[0]!, range.at(-1)!), 'together').toEqual(expected)
        expect((await Promise.all(range.map((on) => sums('raw_journeys', on, on)))).flat(), 'alone').toEqual(expected)
        expect(await checkFolds(engine.store)).toEqual([])
      }),
      { numRuns: 12 },
    )
  }, 180_000)
})

describe('beacons lost', () => {
  const numbered = (at: number, seq: number) => makeRecord({ at, seq, page_id: 'page-1', name: 'page_view' })
  const midnight = Date.parse('2026-03-11T00:00:00Z')
  const lost = async (on: string) => (await ask('beacon_loss', { from: on, to: on })).rows[0]

  test('are none where a page was open over midnight', async () => {
    await insert([
      numbered(midnight - 2, 0),
      numbered(midnight - 1, 1),
      numbered(midnight, 2),
      numbered(midnight + 1, 3),
    ])
    for (const pass of ['events', 'folds']) {
      expect(await lost(day), pass).toMatchObject({ value: 0, n: 2 })
      expect(await lost('2026-03-11'), pass).toMatchObject({ value: 0, n: 2 })
      await foldAll()
    }
  })

  test('are told on either side of midnight, and where a page load’s first never came', async () => {
    await insert([numbered(midnight - 2, 1), numbered(midnight, 2), numbered(midnight + 1, 4)])
    expect(await lost(day)).toMatchObject({ value: 1 / 2, n: 2 })
    expect(await lost('2026-03-11')).toMatchObject({ value: 1 / 3, n: 3 })
  })

  test('of a folded day are counted again when the day before gets an event late', async () => {
    await insert([numbered(midnight, 1)])
    await foldAll()
    expect(await lost('2026-03-11')).toMatchObject({ value: 1 / 2 })
    await insert([numbered(midnight - 1, 0)])
    await foldAll()
    expect(await lost('2026-03-11')).toMatchObject({ value: 0 })
    expect(await checkFolds(engine.store)).toEqual([])
  })
})

test('every number is the same from events and from folds, and as counted by plain loops', async () => {
  const event = fc.record({
    deployment: fc.constantFrom('a', 'b'),
    visitor: fc.constantFrom('0', '1', '2', '3'),
    minutes: fc.integer({ min: 0, max: 1439 }),
    name: fc.constantFrom('page_view', 'page_view', 'rating', 'journey_start', 'custom', 'web_vital'),
    bot: fc.boolean(),
    path: fc.constantFrom('/', '/a', '/b'),
    rating: fc.integer({ min: 1, max: 5 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 60 }), async (list) => {
      await empty()
      const midnight = Date.parse(`${day}T00:00:00Z`)
      const records = list.map(({ deployment, visitor, minutes, name, bot, path, rating }) =>
        makeRecord({
          at: midnight + minutes * minute,
          deployment,
          visitor,
          name,
          bot,
          path,
          ...(name === 'rating' ? { rating } : {}),
          ...(name.startsWith('journey') ? { journey: 'j' } : {}),
        }),
      )
      await insert(records)
      for (const pass of ['events', 'folds'] as const) {
        for (const { id } of deployments) {
          const own = records.filter((record) => record.deployment === id && !record.bot)
          const views = own.filter(({ name }) => name === 'page_view')
          let sessions = 0
          for (const visitor of ['1', '2', '3']) {
            const times = own
              .filter((record) => record.visitor === visitor && record.name !== 'web_vital')
              .map(({ at }) => at)
              .sort((x, y) => x - y)
            times.forEach((at, index) => (sessions += index === 0 || at - times[index - 1]! > 30 * minute ? 1 : 0))
          }
          const one = { deployments: launched.filter((deployment) => deployment.id === id) }
          const ratings = own.filter(({ rating }) => rating > 0)
          expect(await valueOf('page_views', one), pass).toBe(views.length)
          expect(await valueOf('sessions', one), pass).toBe(sessions)
          expect(await valueOf('daily_visitors', one), pass).toBe(
            new Set(
              own.filter(({ visitor, name }) => visitor !== '0' && name !== 'web_vital').map(({ visitor }) => visitor),
            ).size,
          )
          const entries = (await ask('top_entry_pages', one)).rows
          expect(
            entries.reduce((sum, { value }) => sum + value!, 0),
            pass,
          ).toBe(sessions)
          expect(await valueOf('rating_count', one), pass).toBe(ratings.length)
          const pages = (await ask('top_pages', one)).rows
          for (const path of ['/', '/a', '/b'])
            expect(pages.find(({ dimension }) => dimension === path)?.value ?? 0, pass).toBe(
              views.filter((view) => view.path === path).length,
            )
        }
        if (pass === 'events') {
          await foldAll()
          expect(await checkFolds(engine.store)).toEqual([])
          expect(await dirtyDays(engine.store, () => '2026-03-20')).toEqual([])
        }
      }
    }),
    { numRuns: 8 },
  )
}, 180_000)

describe('folds', () => {
  test('that did not see an event which came meanwhile are not current', async () => {
    await insert([makeRecord({ at: noon })])
    const before = await dirtyDays(engine.store, () => '2026-03-20')
    await insert([makeRecord({ at: noon })])
    await foldDays(engine.store, before, { version: 1 })
    expect((await dirtyDays(engine.store, () => '2026-03-20')).map(({ local_day }) => local_day)).toContain(day)
    expect(await valueOf('page_views')).toBe(2)
    await foldAll()
    expect([await valueOf('page_views'), await checkFolds(engine.store)]).toEqual([2, []])
  })

  test('that were cut off before they counted change nothing', async () => {
    await insert([makeRecord({ at: noon })])
    await engine.store.command(
      `INSERT INTO fold_daily (deployment, local_day, version, page_views) VALUES ('a', '${day}', 99, 1000)`,
    )
    expect(await valueOf('page_views')).toBe(1)
    await foldAll()
    expect([await valueOf('page_views'), await checkFolds(engine.store)]).toEqual([1, []])
  })

  test('of a day whose events were erased are empty', async () => {
    await insert([makeRecord({ at: noon })])
    await foldAll()
    await engine.store.command('ALTER TABLE events DELETE WHERE true')
    await engine.store.insert('day_marks', ['deployment', 'local_day', 'marks'], [['a', day, 1]], null)
    await foldAll()
    expect([await valueOf('page_views'), await checkFolds(engine.store)]).toEqual([0, []])
  })

  test('that run two at once leave no clean day without its sums', async () => {
    for (let round = 0; round < 8; round++) {
      await insert([makeRecord({ at: noon }), makeRecord({ at: noon, deployment: 'b' })])
      // The second begins while the first is at another of its statements in every round.
      const second = async (): Promise<void> => {
        for (let query = 0; query < 2 * round; query++) await engine.store.ping()
        await foldAll()
      }
      await Promise.all([foldAll(), second()])
      expect([round, await checkFolds(engine.store), await valueOf('page_views')]).toEqual([round, [], round + 1])
    }
  }, 180_000)

  test('leave open days alone', async () => {
    await insert([makeRecord({ at: noon })])
    expect(await dirtyDays(engine.store, () => day)).toEqual([])
  })
})

describe('an answer', () => {
  test('fills every period: 0 where nothing was counted, null with a reason where nothing can be said', async () => {
    await insert([makeRecord({ at: noon })])
    const own = [{ id: 'a', time_zone: 'UTC', launched_on: '2026-03-09', retired_on: '2026-03-11' }]
    const { rows } = await ask('page_views', {
      deployments: own,
      from: '2026-03-08',
      to: '2026-03-12',
      interval: 'day',
    })
    expect(rows.map(({ period, value, reason }) => [period, value, reason])).toEqual([
      ['2026-03-08', null, 'not_launched'],
      ['2026-03-09', 0, undefined],
      ['2026-03-10', 1, undefined],
      ['2026-03-11', 0, undefined],
      ['2026-03-12', null, 'retired'],
    ])
  })

  test('gives a rate its n and its interval, and null where it is not defined', async () => {
    expect((await ask('journey_completion_rate', { deployments: launched })).rows[0]).toMatchObject({
      value: null,
      n: 0,
      reason: 'no_starts',
    })
    await insert([
      ...Array.from({ length: 10 }, (_, index) =>
        makeRecord({ at: noon + index, name: 'rating', rating: index < 9 ? 5 : 1 }),
      ),
    ])
    const [row] = (await ask('rating_satisfied')).rows
    expect(row).toMatchObject({ value: 0.9, n: 10 })
    // Newcombe's table: 9 of 10 is 59.6 % to 98.2 %.
    expect([row!.low!.toFixed(3), row!.high!.toFixed(3)]).toEqual(['0.596', '0.982'])
  })

  test('means visitors per day over more than a day, and says over how many', async () => {
    await insert([
      makeRecord({ at: noon }),
      makeRecord({ at: noon + 86_400_000, visitor: '1' }),
      makeRecord({ at: noon + 86_400_000, visitor: '2' }),
    ])
    expect((await ask('daily_visitors', { to: '2026-03-11' })).rows[0]).toMatchObject({ value: 1.5, n: 2 })
  })

  test('names ISO weeks and months', async () => {
    const week = await ask('page_views', { from: '2025-12-28', to: '2026-01-05', interval: 'week' })
    expect(week.rows.map(({ period }) => period)).toEqual(['2025-W52', '2026-W01', '2026-W02'])
    expect(
      (await ask('page_views', { from: '2026-01-31', to: '2026-02-01', interval: 'month' })).rows.map(
        ({ period }) => period,
      ),
    ).toEqual(['2026-01', '2026-02'])
  })

  test('says nothing of days before measuring began, and leaves them out of means', async () => {
    const may = ['2015-05-17', '2015-05-18', '2015-05-19', '2015-05-20', '2015-05-21']
    await insert(
      may.flatMap((on, index) =>
        Array.from({ length: 10 * (index + 1) }, (_, visitor) =>
          makeRecord({ at: Date.parse(`${on}T12:00:00Z`), received_at: later, visitor: String(visitor + 1) }),
        ),
      ),
    )
    const month = { from: '2015-05-01', to: '2015-05-21' }
    // Also when the events have gone and only their folds are left.
    for (const pass of ['events', 'folds']) {
      expect((await ask('daily_visitors', month)).rows[0], pass).toMatchObject({ value: 30, n: 5 })
      expect((await ask('page_views', { from: '2015-05-16', to: '2015-05-17', interval: 'day' })).rows, pass).toEqual([
        { deployment: 'a', period: '2015-05-16', value: null, reason: 'not_measured' },
        { deployment: 'a', period: '2015-05-17', value: 10 },
      ])
      await foldAll()
      await engine.store.command('TRUNCATE TABLE events')
    }
    const earlier = [{ id: 'a', time_zone: 'UTC', launched_on: '2015-05-12' }]
    expect((await ask('daily_visitors', { ...month, deployments: earlier })).rows[0]).toMatchObject({
      value: 15,
      n: 10,
    })
  })

  test('says nothing of a deployment that never had an event', async () => {
    expect((await ask('page_views', { from: '2024-01-01', to: '2024-01-01' })).rows[0]).toMatchObject({
      value: null,
      reason: 'not_measured',
    })
  })

  test('does not begin a day early because the first day has a completion', async () => {
    await insert([makeRecord({ at: noon, name: 'journey_complete', journey: 'pay', outcome: 'sent' })])
    expect((await ask('events', { from: '2026-03-09', to: '2026-03-09' })).rows[0]!.reason).toBe('not_measured')
  })

  test('is complete only when the day is over, everywhere', async () => {
    expect((await ask('page_views', { now: noon })).complete).toBe(false)
    expect((await ask('page_views')).complete).toBe(true)
    // 2026-03-11T01:00Z is still the 10th on Hawaii.
    const both = [...deployments.slice(0, 1), { id: 'b', time_zone: 'Pacific/Honolulu' }]
    const early = Date.parse('2026-03-11T01:00:00Z')
    expect((await ask('page_views', { now: early })).complete).toBe(true)
    expect((await ask('page_views', { now: early, deployments: both })).complete).toBe(false)
  })

  test('is not complete while what was accepted before its end waits in the log', async () => {
    expect((await ask('page_views', { unconsumedFrom: noon })).complete).toBe(false)
    expect((await ask('page_views', { unconsumedFrom: Date.parse('2026-03-11T00:00:00Z') })).complete).toBe(true)
  })

  test('about journeys is complete a day later, when no completion can come any more', async () => {
    const next = noon + 24 * 60 * minute
    for (const id of ['journeys_started', 'journey_completion_rate', 'journeys']) {
      expect((await ask(id, { now: next })).complete, id).toBe(false)
      expect((await ask(id, { now: next + 24 * 60 * minute })).complete, id).toBe(true)
      expect((await ask(id, { unconsumedFrom: next })).complete, id).toBe(false)
    }
    expect((await ask('page_views', { now: next })).complete).toBe(true)
  })

  test('reaches no further than the oldest event that waits, whichever deployment has newer ones', async () => {
    const read = (deployment: string, receivedTo: number) => [
      'log',
      0,
      receivedTo,
      receivedTo + 1,
      deployment,
      1,
      1,
      0,
      0,
      0,
      toDateTime(receivedTo),
    ]
    await engine.store.insert('ledger', ledgerColumns, [read('a', noon), read('b', noon + 60 * minute)], null)
    const dataTo = async (unconsumedFrom: number | null) =>
      Date.parse((await ask('page_views', { deployments, unconsumedFrom })).data_to!) - noon
    expect(await dataTo(noon + 30 * minute)).toBe(30 * minute)
    expect(await dataTo(noon + 90 * minute)).toBe(60 * minute)
    expect(await dataTo(null)).toBe(60 * minute)
  })

  test.each([
    ['page_views', { dimension: '/' }, 'dimension: page_views'],
    ['page_views', { limit: 5 }, 'limit: page_views'],
  ])('refuses for %s what it cannot heed: %j', async (id, more, words) => {
    await expect(ask(id, more)).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.stringMatching(new RegExp(`${words}.*top_pages`)) as string,
    })
  })

  test.each([
    ['from after to', { from: '2026-03-11' }, 'from'],
    ['no day', { from: '2026-02-30' }, 'from'],
    ['a range too long', { from: '2020-01-01' }, 'to'],
    ['a limit too large', { limit: 1_001 }, 'limit'],
  ])('refuses %s and names the parameter', async (_name, more, parameter) => {
    await expect(ask('page_views', more)).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.stringContaining(`${parameter}:`) as string,
    })
  })

  test('takes a value of a dimension as text, whatever it is', async () => {
    await insert([makeRecord({ at: noon, path: "/a'); DROP TABLE events; --" })])
    expect((await ask('top_pages', { dimension: "/a'); DROP TABLE events; --" })).rows[0]).toMatchObject({ value: 1 })
  })

  test.each(metricDefinitions.map(({ id }) => id))(
    'exists for %s, without data and for all deployments',
    async (id) => {
      expect(readMetricSql(id)).not.toBe('')
      expect((await ask(id, { deployments })).metric).toBe(id)
      expect((await ask(id, { deployments: [] })).rows).toEqual([])
    },
  )
})
