import { eventRecordSchema, type EventRecord } from '@footfall/contracts/event'
import { createLocalClock, shiftDay } from '@footfall/enrichment/local-time'
import { describe, expect, test } from 'vitest'
import { demoCatalogue, demoTraffic } from '../../src/demo/catalogue.ts'
import { demoDay } from '../../src/demo/generate.ts'

const end = '2026-03-10'
const traffic = demoTraffic()
const deployments = new Map(demoCatalogue(end).deployments.map((deployment) => [deployment.id, deployment]))
const localTime = createLocalClock()
const make = (id: string, day: string, scale = 1): EventRecord[] =>
  demoDay(1, scale, day, deployments.get(id)!, traffic.get(id)!, localTime, 0)
const makeDays = (id: string, first: string, days: number, scale = 1): EventRecord[] =>
  Array.from({ length: days }, (_, index) => make(id, shiftDay(first, index), scale)).flat()
const share = <Item>(items: readonly Item[], is: (item: Item) => boolean): number =>
  items.filter(is).length / items.length

describe('a day of the demo', () => {
  test('is the same events with the same ids whenever it is made', () => {
    expect(make('waste-calendar-leipzig', '2026-03-09')).toEqual(make('waste-calendar-leipzig', '2026-03-09'))
  })

  test('is made of valid records with ids of their own', () => {
    const records = [...deployments.keys()].flatMap((id) => make(id, '2026-03-09'))
    for (const record of records) eventRecordSchema.parse(record)
    expect(new Set(records.map(({ id }) => id)).size).toBe(records.length)
  })

  test('has nothing before the launch and nothing after the end', () => {
    const { launched_on, retired_on } = deployments.get('consultation-galway')!
    expect(make('consultation-galway', shiftDay(launched_on!, -1))).toEqual([])
    expect(make('consultation-galway', launched_on!).length).toBeGreaterThan(0)
    expect(make('consultation-galway', retired_on!).length).toBeGreaterThan(0)
    expect(make('consultation-galway', shiftDay(retired_on!, 1))).toEqual([])
  })
})

describe('what the catalogue says of an app is seen in its events', () => {
  const week = '2026-03-02'

  test('who comes twice a day is one visitor, and a few have none', () => {
    const views = makeDays('waste-calendar-leipzig', week, 7).filter(({ bot, name }) => !bot && name === 'page_view')
    const known = views.filter(({ visitor }) => visitor !== '0')
    const visits = new Set(known.map(({ page_id }) => page_id)).size
    const visitors = new Set(known.map(({ visitor, local_day }) => visitor + local_day)).size
    expect(visits / visitors).toBeGreaterThan(1.08)
    expect(share(views, ({ visitor }) => visitor === '0')).toBeGreaterThan(0)
    expect(share(views, ({ visitor }) => visitor === '0')).toBeLessThan(0.03)
  })

  test('telephones have their share', () => {
    for (const id of ['street-report-tampere', 'parking-permit-porto']) {
      const people = makeDays(id, week, 7).filter(({ bot }) => !bot)
      const mobile = share(people, ({ device }) => device !== 'desktop')
      expect(Math.abs(mobile - traffic.get(id)!.mobile)).toBeLessThan(0.06)
    }
  })

  test('an office app rests at the weekend, and an evening app is used after work', () => {
    const weekend = (id: string) => share(makeDays(id, week, 7), ({ local_day }) => local_day > '2026-03-06')
    expect(weekend('parking-permit-porto')).toBeLessThan(0.12)
    expect(weekend('street-report-tampere')).toBeGreaterThan(0.18)
    const evening = (id: string) => share(makeDays(id, week, 7), ({ local_hour }) => local_hour >= 18)
    expect(evening('waste-calendar-leipzig')).toBeGreaterThan(2 * evening('parking-permit-porto'))
  })

  test('a season has its month', () => {
    const visits = (first: string) => makeDays('school-finder-leipzig', first, 14).length
    expect(visits('2025-03-08')).toBeGreaterThan(2 * visits('2025-09-08'))
  })

  test('every app that names a dataset uses it, and no other does', () => {
    for (const [id, { dataset }] of traffic) {
      const used = new Set(makeDays(id, '2026-02-10', 7).flatMap(({ dataset: name }) => (name === '' ? [] : [name])))
      expect([...used], id).toEqual(dataset === null ? [] : [dataset])
    }
  })

  test('journeys begin on the way, not on the last page, and a lossy form loses their ids', () => {
    const of = (id: string, name: string) => makeDays(id, week, 7).filter((record) => record.name === name)
    const starts = of('street-report-porto', 'journey_start')
    expect(new Set(starts.map(({ path }) => path)).size).toBeGreaterThan(2)
    expect(share(starts, ({ path }) => path === '/report/sent')).toBe(0)
    const kept = (id: string) => share(of(id, 'journey_complete'), ({ journey_id }) => journey_id !== '')
    expect(Math.abs(kept('street-report-porto') - 0.35)).toBeLessThan(0.1)
    expect(Math.abs(kept('street-report-tampere') - 0.85)).toBeLessThan(0.08)
  })
})
