import type { EventRecord } from '@footfall/contracts/event'
import { expect, test } from 'vitest'
import { makeBody, makeEvent, origin, startIngest } from './ingest.ts'

test('a city that moves from Honolulu to Kiritimati keeps its day and its visitors until midnight', async () => {
  const clock = { at: Date.parse('2026-03-10T20:00:00Z') }
  const own = await startIngest({}, () => clock.at)
  const settle = (time_zone: string) =>
    own.registry.apply(
      {
        deployments: [
          {
            id: 'isle',
            app: 'a',
            organisation: 'o',
            time_zone,
            origins: [origin],
            mode: 'exempt',
            keys: ['pk_isle_key'],
          },
        ],
      },
      { actor: 'test' },
    )
  const send = async (at: string, now = at): Promise<EventRecord> => {
    clock.at = Date.parse(now)
    await own.ingest.tick()
    await own.post(makeBody([makeEvent({ at: Date.parse(at) })], { key: 'pk_isle_key', sent_at: clock.at }))
    return (await own.events()).at(-1)!
  }
  try {
    await settle('Pacific/Honolulu')
    const before = await send('2026-03-10T20:00:00Z')
    expect(before).toMatchObject({ local_day: '2026-03-10', local_hour: 10 })
    expect(before.visitor).not.toBe('0')
    await settle('Pacific/Kiritimati')
    const { visitor } = before
    expect(await send('2026-03-10T20:01:00Z')).toMatchObject({ local_day: '2026-03-10', local_hour: 10, visitor })
    expect(await send('2026-03-11T09:59:59Z')).toMatchObject({ local_day: '2026-03-10', local_hour: 23, visitor })
    const after = await send('2026-03-11T10:00:00Z')
    expect(after).toMatchObject({ local_day: '2026-03-12', local_hour: 0 })
    expect(['0', visitor]).not.toContain(after.visitor)
    expect(await send('2026-03-11T09:00:00Z', '2026-03-11T10:30:00Z')).toMatchObject({
      local_day: '2026-03-10',
      local_hour: 23,
    })
  } finally {
    await own.close()
  }
})
