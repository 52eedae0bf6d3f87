import { expect, test } from 'vitest'
import { runDistributedMatrix } from './distributed-matrix.ts'

// Each fault once or twice; the full matrix is `npm run test:ledger:distributed`.
test('every acknowledged event is there exactly once, whichever process or server fails', async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  const result = await runDistributedMatrix({
    kills: 1,
    sleeps: 1,
    lost: 3,
    rebalances: 1,
    twins: 20,
    awaySeconds: 8,
    seed,
    say: (line) => console.info(line),
  })
  expect(result.stoppedBy, `seed ${seed}`).toBeNull()
  expect(result.clean, `seed ${seed}`).toBe(true)
  // The faults hit what they were aimed at, and what was checked is more than nothing.
  const facts = Object.fromEntries(result.phases.map((phase) => [phase.phase, phase.facts]))
  expect(facts['Kafka away']?.['spooled at most']).toBeGreaterThan(0)
  expect(facts['answers lost after the server had acted']?.['answers of brokers lost']).toBeGreaterThan(0)
  expect(facts['the same event at two ingests']?.['accepted copies']).toBe(40)
  const known = result.phases.at(-1)!.report.known
  for (const part of ['acked', 'rejected', 'failed', 'deduplicated', 'cleanDays'] as const)
    expect(known[part], part).toBeGreaterThan(0)
}, 900_000)
