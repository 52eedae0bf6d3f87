import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { makeRecord } from '../../../shared/store/test/engine.ts'
import { idKey, planBatch, readRecords, type EarlierCopy } from '../src/plan-batch.ts'

const hour = 3_600_000
const at = Date.UTC(2026, 0, 10, 12)
const range = { logId: 'log', partition: 0, base: 0, end: 100 }
const toRead = (records: readonly object[]) =>
  readRecords(records.map((record, offset) => ({ offset, value: Buffer.from(JSON.stringify(record)) })))

describe('what becomes of a batch', () => {
  test('stores what is new, fails what is late or unreadable, and leaves out second copies', () => {
    const first = makeRecord({ at })
    const records = toRead([first, { ...first, attempt: 2 }, makeRecord({ at, late: true }), { v: 1 }])
    const plan = planBatch(records, new Map(), range)
    expect(plan.counts).toEqual({ read: 4, stored: 1, failed: 2, deduplicated: 1, poison: 1 })
    expect(plan.failed.map(({ offset }) => offset)).toEqual([2, 3])
    expect(plan.ids).toHaveLength(2)
  })

  test.each(['0190aaaabbbb7ccc8ddd000000000001', '0190AAAA-BBBB-7CCC-8DDD-000000000001', 'x'.repeat(36)])(
    'sets aside a record whose id would shift those that are looked up behind it: %s',
    (id) => {
      const plan = planBatch(toRead([{ ...makeRecord({ at }), id }, makeRecord({ at })]), new Map(), range)
      expect(plan.counts).toMatchObject({ stored: 1, failed: 1, poison: 1 })
    },
  )

  test.each([
    ['a copy within 72 hours', 71 * hour, 'beacon', 1],
    ['a copy at 72 hours exactly', 72 * hour, 'beacon', 1],
    ['a copy after 72 hours, which is a new event', 72 * hour + 1, 'beacon', 0],
    ['an import after a year', 8_760 * hour, 'import', 1],
    ['a demo that is started again after a month', 720 * hour, 'demo', 1],
  ] as const)('compares when the copies were received: %s', (_name, later, source, deduplicated) => {
    const record = makeRecord({ at, source, received_at: at + later })
    const earlier = new Map<string, EarlierCopy[]>([
      [idKey('a', record.id.replaceAll('-', '')), [{ receivedAt: at, keptForEver: false, content: 0 }]],
    ])
    expect(planBatch(toRead([record]), earlier, range).counts.deduplicated).toBe(deduplicated)
  })

  test('counts a second copy that says something else as conflicting', () => {
    const first = makeRecord({ at, content: 1 })
    const plan = planBatch(toRead([first, { ...first, content: 2 }, { ...first, content: 1 }]), new Map(), range)
    expect(plan.ledger).toHaveLength(1)
    expect(plan.ledger[0]!.slice(5, 10)).toEqual([3, 1, 0, 2, 1])
  })

  test('keeps ids of two deployments apart', () => {
    const record = makeRecord({ at })
    expect(planBatch(toRead([record, { ...record, deployment: 'b' }]), new Map(), range).counts.stored).toBe(2)
  })

  test.each([
    ['journey_start', ['2026-01-10', '2026-01-11']],
    ['journey_complete', ['2026-01-10', '2026-01-11', '2026-01-09']],
  ])('marks the days whose numbers a %s can change', (name, days) => {
    const record = makeRecord({ at, name, journey: 'pay' })
    expect(planBatch(toRead([record]), new Map(), range).days).toEqual(days.map((day) => ['a', day]))
  })

  test('writes a ledger row for a range without records, so that the store knows it was consumed', () => {
    expect(planBatch([], new Map(), range).ledger).toEqual([
      ['log', 0, 0, 100, '', 0, 0, 0, 0, 0, '1970-01-01T00:00:00.000'],
    ])
  })

  test('read = stored + failed + deduplicated, per deployment and in all, whatever comes', () => {
    const record = fc.record({
      id: fc.integer({ min: 0, max: 5 }),
      deployment: fc.constantFrom('a', 'b'),
      late: fc.boolean(),
      broken: fc.boolean(),
      after: fc.integer({ min: 0, max: 100 }),
    })
    fc.assert(
      fc.property(fc.array(record, { maxLength: 40 }), (list) => {
        const records = toRead(
          list.map(({ id, deployment, late, broken, after }) =>
            broken
              ? { broken }
              : makeRecord({
                  at,
                  id: `0190aaaa-bbbb-7ccc-8ddd-00000000000${id}`,
                  deployment,
                  late,
                  received_at: at + after * hour,
                }),
          ),
        )
        const plan = planBatch(records, new Map(), range)
        const { counts } = plan
        expect(counts.read).toBe(list.length)
        expect(counts.stored + counts.failed + counts.deduplicated).toBe(counts.read)
        expect(plan.events).toHaveLength(counts.stored)
        for (const [, , , , , read, stored, failed, deduplicated] of plan.ledger as number[][])
          expect(read).toBe(stored! + failed! + deduplicated!)
        // The same records come out the same.
        expect(planBatch(records, new Map(), range)).toEqual(plan)
      }),
      { numRuns: 300 },
    )
  })
})
