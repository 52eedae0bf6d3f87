import { expect, test } from 'vitest'
import { runMatrix } from './matrix.ts'

// A tenth of the full matrix (`npm run test:ledger`).
test('every acknowledged event is there exactly once, whatever is killed when', async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  const result = await runMatrix({
    killsMain: 20,
    killsStore: 5,
    drains: 2,
    diskFull: 1,
    restores: 2,
    seed,
    say: (line) => console.info(line),
  })
  expect(result.stoppedBy, `seed ${seed}`).toBeNull()
  expect(result.clean, `seed ${seed}`).toBe(true)
  // The faults hit what they were aimed at, and what was checked is more than nothing.
  const facts = Object.fromEntries(result.phases.map((phase) => [phase.phase, phase.facts]))
  expect(facts['kill -9 of the main process']?.['claims left open']).toBeGreaterThan(0)
  expect(facts['kill -9 of embedded ClickHouse']?.['inside an open claim']).toBeGreaterThan(0)
  expect(facts['disk full, space returned']?.['503']).toBeGreaterThan(0)
  const known = result.phases.at(-1)!.report.known
  for (const part of ['acked', 'rejected', 'failed', 'deduplicated', 'cleanDays'] as const)
    expect(known[part], part).toBeGreaterThan(0)
})
