import type { Deployment } from '@footfall/contracts/registry'
import { createLocalClock } from '@footfall/enrichment/local-time'
import { expect, test } from 'vitest'
import { readTimeZones } from '../src/state.ts'

const localTime = createLocalClock()
/** Versions from `[when, zone]`, the first of which is how the deployment was registered. */
const zonesOf = (...changes: readonly (readonly [string, string])[]) =>
  readTimeZones(
    {
      versions: changes.map(([at, time_zone]) => ({ validFrom: Date.parse(at), value: { time_zone } as Deployment })),
      retiredAt: null,
    },
    localTime,
  )

test.each([
  [
    'Pacific/Honolulu',
    'Pacific/Kiritimati',
    '2026-03-10T20:00:00Z',
    '2026-03-11T10:00:00Z',
    '2026-03-10',
    '2026-03-12',
  ],
  [
    'Pacific/Kiritimati',
    'Pacific/Honolulu',
    '2026-03-10T20:00:00Z',
    '2026-03-11T10:00:00Z',
    '2026-03-11',
    '2026-03-11',
  ],
  ['Asia/Kathmandu', 'UTC', '2026-01-01T18:00:00Z', '2026-01-01T18:15:00Z', '2026-01-01', '2026-01-01'],
  // A day of 23 hours, one of 25, and one that begins at one o'clock.
  ['Europe/Berlin', 'Asia/Tokyo', '2026-03-28T23:30:00Z', '2026-03-29T22:00:00Z', '2026-03-29', '2026-03-30'],
  ['Europe/Berlin', 'Asia/Tokyo', '2026-10-24T22:30:00Z', '2026-10-25T23:00:00Z', '2026-10-25', '2026-10-26'],
  ['America/Santiago', 'UTC', '2026-09-05T12:00:00Z', '2026-09-06T04:00:00Z', '2026-09-05', '2026-09-06'],
])('%s gives way to %s at its next midnight', (before, after, changed, from, lastDay, firstDay) => {
  const at = Date.parse(from)
  const timeZoneAt = zonesOf(['2026-01-01T00:00:00Z', before], [changed, after])
  expect([timeZoneAt(Date.parse(changed)), timeZoneAt(at - 1), timeZoneAt(at)]).toEqual([before, before, after])
  const dayAt = (instant: number): string => localTime(timeZoneAt(instant), instant).day
  expect([dayAt(at - 1), dayAt(at)]).toEqual([lastDay, firstDay])
})

test('the first zone holds for what happened before the registration', () => {
  expect(zonesOf(['2026-03-10T20:00:00Z', 'Asia/Tokyo'])(0)).toBe('Asia/Tokyo')
})

test('of several changes within a day the last holds, and a change taken back is none', () => {
  const first = ['2026-01-01T00:00:00Z', 'UTC'] as const
  const midnight = Date.parse('2026-03-11T00:00:00Z')
  const twice = zonesOf(first, ['2026-03-10T10:00:00Z', 'Asia/Tokyo'], ['2026-03-10T11:00:00Z', 'Asia/Seoul'])
  expect([twice(midnight - 1), twice(midnight)]).toEqual(['UTC', 'Asia/Seoul'])
  const back = zonesOf(first, ['2026-03-10T10:00:00Z', 'Asia/Tokyo'], ['2026-03-10T11:00:00Z', 'UTC'])
  expect(back(midnight)).toBe('UTC')
})

test('a change of something else moves no zone', () => {
  const timeZoneAt = zonesOf(
    ['2026-01-01T00:00:00Z', 'UTC'],
    ['2026-03-10T10:00:00Z', 'Asia/Tokyo'],
    ['2026-03-10T12:00:00Z', 'Asia/Tokyo'],
    ['2026-03-20T12:00:00Z', 'Asia/Tokyo'],
  )
  expect([Date.parse('2026-03-10T23:59:59Z'), Date.parse('2026-03-11T00:00:00Z')].map(timeZoneAt)).toEqual([
    'UTC',
    'Asia/Tokyo',
  ])
})
