import { expect, test } from 'vitest'
import { isClean } from './check.ts'
import { runMatrix } from './matrix.ts'

// A tenth of the full matrix (`npm run test:ledger`).
test('every acknowledged event is there exactly once, whatever is killed when', async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  console.info(`seed ${seed}`)
  const results = await runMatrix({ killsMain: 20, killsStore: 5, drains: 2, diskFull: 1, restores: 2, seed, say: (line) => console.info(line) })
  expect(results).toHaveLength(5)
  for (const { scenario, report } of results) {
    expect(report.acked, scenario).toBeGreaterThan(100)
    expect(isClean(report), `${scenario}: ${JSON.stringify(report)}`).toBe(true)
  }
})
