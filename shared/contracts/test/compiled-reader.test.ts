import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { beaconEventSchema, readBeaconEvent, standardNames } from '../src/beacon.ts'
import { eventRecordSchema, readEventRecord } from '../src/event.ts'

const valid = {
  id: '0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000',
  name: 'page_view',
  at: 1_767_225_600_000,
  seq: 3,
  attempt: 1,
  url: 'https://app.example/',
  referrer: '',
  props: { section: 'schools', count: 3, yes: true, none: null },
  value: -0.5,
  journey: { id: 'abc', name: 'report', step: 'where', outcome: 'done' },
  rating: 5,
  dataset: 'schools',
  app_version: '1.2.3',
}
const fields = [...Object.keys(valid), 'unknown', 'screen'] as const
const odd = fc.oneof(
  fc.constantFrom<unknown>('', 'a', 'page_view', 'journey_x', 'rating', -1, 0, 1, 6, 1.5, 1e21, Infinity, NaN, null),
  fc.constantFrom<unknown>(
    undefined,
    true,
    [],
    {},
    { name: 'x', more: 1 },
    { name: 'BAD' },
    'a'.repeat(1025),
    '😀'.repeat(600),
  ),
  fc.constantFrom(...standardNames),
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.dictionary(fc.string({ maxLength: 70 }), fc.constantFrom<unknown>(1, 'x', null, true, [], 'b'.repeat(1025)), {
    maxKeys: 3,
  }),
  fc.constant(Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`p${index}`, index]))),
)

describe('a compiled reader', () => {
  test('says of every value what its schema says', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...fields), odd), { maxLength: 3 }), (changes) => {
        const event = { ...valid, ...Object.fromEntries(changes) }
        const expected = beaconEventSchema.safeParse(event)
        const read = readBeaconEvent(event)
        expect(read.success).toBe(expected.success)
        if (read.success) expect(read.data).toEqual(expected.data)
      }),
      { numRuns: 2_000 },
    )
  })

  test.each([null, undefined, 1, 'text', [], [valid], {}])('refuses %j', (value) => {
    expect(readBeaconEvent(value).success).toBe(false)
    expect(readEventRecord(value).success).toBe(false)
  })

  test('names the field at fault as the schema does', () => {
    const wrong = { ...valid, url: undefined }
    expect(readBeaconEvent(wrong).error?.issues).toEqual(beaconEventSchema.safeParse(wrong).error?.issues)
    expect(readBeaconEvent({ ...valid, rating: 6 }).error?.issues[0]?.path).toEqual(['rating'])
  })

  test('reads days of the calendar alone', () => {
    for (const day of ['2026-02-29', '2026-13-01', '2026-1-1', 'x'])
      expect(readEventRecord({ local_day: day }).error?.issues.some(({ path }) => path[0] === 'local_day')).toBe(true)
    expect(eventRecordSchema.shape.local_day.safeParse('2024-02-29').success).toBe(true)
  })
})
