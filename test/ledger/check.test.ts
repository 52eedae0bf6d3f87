import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startConsumer } from '@footfall/consumer/consume'
import { topics, type EventRecord } from '@footfall/contracts/event'
import { blankRecord } from '@footfall/enrichment/blank-record'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { dirtyDays, foldDays } from '@footfall/store/fold'
import type { Store } from '@footfall/store/open'
import { createLogger } from '@footfall/telemetry/logger'
import { createMetrics } from '@footfall/telemetry/metrics'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTestEngine } from '../../shared/store/test/engine.ts'
import { checkLedger, faultsOf } from './check.ts'
import { hashContent, openJournal, readJournal, type Journal } from './journal.ts'
import { newId, seeded } from './random.ts'

const seed = 20_260_301
const start = Date.UTC(2026, 2, 1, 12)
const tables = ['events', 'failed_events', 'ledger', 'fold_daily', 'day_marks'] as const
const closers: (() => Promise<unknown>)[] = []
let store: Store
let journalFile: string
let journal: Journal

/** 400 events of two deployments and three days, some late, some sent twice, some refused, as a sender journals them. */
function makeEvents(random: () => number): EventRecord[] {
  const file = openJournal(journalFile)
  const records = Array.from({ length: 400 }, (_, index): EventRecord => {
    const deployment = index % 3 === 0 ? 'city-b' : 'city-a'
    const day = 1 + (Math.floor(index / 3) % 3)
    const at = start + (day - 1) * 86_400_000 + index * 1_000
    const late = index % 50 === 7
    const path = `/page-${Math.floor(random() * 20)}`
    const note = `note ${index}`
    const record: EventRecord = {
      ...blankRecord,
      id: newId(at, random),
      deployment,
      source: 'beacon',
      received_at: at + 500,
      at,
      local_day: `2026-03-0${day}`,
      local_hour: 12,
      name: 'page_view',
      host: 'ledger.example',
      path,
      props: { note },
      late,
      visitor: String(1 + Math.floor(random() * 30)),
    }
    const content = hashContent({
      at,
      name: 'page_view',
      host: 'ledger.example',
      path,
      note,
      journey: '',
      journeyId: '',
      outcome: '',
      rating: 0,
    })
    file.sending([{ deployment, id: record.id, content, isLate: late }])
    // Every eleventh was refused and never reached the log; every thirteenth got no answer, though the log has it.
    if (index % 11 === 5) file.answered(deployment, [record.id], 'rejected')
    else if (index % 13 !== 5) file.answered(deployment, [record.id], 'acked')
    return record
  })
  file.close()
  const accepted = records.filter((_, index) => index % 11 !== 5)
  return [...accepted, ...accepted.filter((_, index) => index % 20 === 0)]
}

beforeAll(async () => {
  const root = await mkdtemp(join(tmpdir(), 'footfall-check-'))
  closers.push(() => rm(root, { recursive: true }))
  const engine = await startTestEngine()
  closers.push(() => engine.close())
  store = engine.store
  const log = await openEmbeddedEventLog({ directory: join(root, 'log') })
  closers.push(() => log.close())

  journalFile = join(root, 'journal')
  const records = makeEvents(seeded(seed))
  journal = readJournal(journalFile)
  for (let from = 0; from < records.length; from += 150) {
    await log.append(
      topics.events,
      records.slice(from, from + 150).map((record) => ({
        key: record.deployment + record.id,
        value: JSON.stringify(record),
      })),
    )
  }
  let consumed: () => void = () => undefined
  const done = new Promise<void>((resolve) => (consumed = resolve))
  const consumer = await startConsumer({
    log,
    store,
    logger: createLogger('silent'),
    metrics: createMetrics(),
    limits: { maxRecords: 150, maxBytes: 1_000_000, flushIntervalMs: 0 },
    onPoint: (point, range) => point === 'advanced' && range.end === records.length && consumed(),
  })
  await done
  await consumer.close()
  await foldDays(store, await dirtyDays(store, () => '2026-03-09'), {
    version: 1,
  })
  for (const table of tables) {
    await store.command(`CREATE TABLE saved_${table} AS ${table} SETTINGS non_replicated_deduplication_window = 0`)
    await store.command(`INSERT INTO saved_${table} SELECT * FROM ${table}`)
  }
})

afterAll(async () => {
  for (const close of closers.reverse()) await close()
})

/** Puts every table back as the consumer left it. */
beforeEach(async () => {
  for (const table of tables) {
    await store.command(`TRUNCATE TABLE ${table}`)
    await store.command(`INSERT INTO ${table} SELECT * FROM saved_${table}`)
  }
})

/** The faults that the checker finds, by name. */
const faults = async (): Promise<string[]> => faultsOf(await checkLedger(store, journal))

/** Moves one column of one acknowledged event to what another event has. */
const swapColumn = async (column: string, value: string): Promise<void> => {
  await store.command(
    `CREATE OR REPLACE TABLE moved ENGINE = Memory AS SELECT * REPLACE (${value} AS ${column}) FROM events ORDER BY id LIMIT 1`,
  )
  await store.command('DELETE FROM events WHERE id IN (SELECT id FROM moved)')
  await store.command('INSERT INTO events SELECT * FROM moved')
}

describe('the ledger checker', () => {
  test('passes what the consumer left of events that were late, sent twice, refused and unanswered', async () => {
    const report = await checkLedger(store, journal)
    expect(report.examples).toEqual([])
    expect(faultsOf(report)).toEqual([])
    expect(report.known).toEqual({
      acked: 336,
      rejected: 36,
      unknownStored: 28,
      unknownAbsent: 0,
      failed: 7,
      deduplicated: 19,
      // Of two deployments: three days with events, and the day after them, into which page loads and journeys may go on.
      cleanDays: 8,
    })
  })

  test('finds a lost event', async () => {
    await store.command('DELETE FROM events WHERE id = (SELECT min(id) FROM events)')
    expect(await faults()).toEqual(expect.arrayContaining(['lost', 'ledgerDifference']))
  })

  test('finds a lost event although the ledger was made to agree', async () => {
    await store.command('CREATE OR REPLACE TABLE gone ENGINE = Memory AS SELECT * FROM events ORDER BY id LIMIT 1')
    await store.command('DELETE FROM events WHERE id IN (SELECT id FROM gone)')
    await store.command(
      'INSERT INTO ledger SELECT * REPLACE (read - 1 AS read) FROM ledger WHERE (deployment, partition, base) IN (SELECT gone.deployment, l.partition, l.base FROM gone INNER JOIN ledger AS l ON l.deployment = gone.deployment WHERE gone.offset >= l.base AND gone.offset < l.`end`)',
    )
    expect(await faults()).toEqual(expect.arrayContaining(['lost']))
    expect(await faults()).not.toContain('ledgerDifference')
  })

  test('finds a late event that is gone from the failed ones', async () => {
    await store.command('DELETE FROM failed_events WHERE offset = (SELECT min(offset) FROM failed_events)')
    expect(await faults()).toEqual(['lost', 'ledgerDifference'])
  })

  test('finds a duplicate', async () => {
    await store.command('INSERT INTO events SELECT * FROM events ORDER BY id LIMIT 1')
    expect(await faults()).toEqual(expect.arrayContaining(['duplicated', 'ledgerDifference']))
  })

  test('finds an event that is in both tables', async () => {
    await store.command(
      `INSERT INTO events SELECT * REPLACE (toUUID((SELECT JSONExtractString(min(record), 'id') FROM failed_events)) AS id) FROM events LIMIT 1`,
    )
    expect(await faults()).toEqual(expect.arrayContaining(['duplicated']))
  })

  test('finds an event under another deployment', async () => {
    await swapColumn('deployment', `if(deployment = 'city-a', 'city-b', 'city-a')`)
    expect(await faults()).toEqual(expect.arrayContaining(['lost', 'swapped', 'ledgerDifference']))
    expect(await faults()).not.toContain('foreign')
  })

  test('finds an event with the content of another', async () => {
    await swapColumn('path', `'/elsewhere'`)
    expect(await faults()).toEqual(expect.arrayContaining(['swapped']))
  })

  test('finds two events whose ids were swapped', async () => {
    await store.command(
      `CREATE OR REPLACE TABLE pair ENGINE = Memory AS WITH (SELECT groupArray(id) FROM (SELECT id FROM events WHERE deployment = 'city-a' ORDER BY id LIMIT 2)) AS ids
       SELECT * REPLACE (if(id = ids[1], ids[2], ids[1]) AS id) FROM (SELECT * FROM events WHERE has(ids, id))`,
    )
    await store.command('DELETE FROM events WHERE id IN (SELECT id FROM pair)')
    await store.command('INSERT INTO events SELECT * FROM pair')
    const report = await checkLedger(store, journal)
    expect(faultsOf(report)).toEqual(['swapped'])
    expect(report.faults.swapped).toBe(2)
  })

  test('finds a refused event that was stored', async () => {
    const refused = [...journal.values()].find(({ outcome }) => outcome === 'rejected')!
    await store.command(
      `INSERT INTO events SELECT * REPLACE ('${refused.id}' AS id, '${refused.deployment}' AS deployment) FROM events LIMIT 1`,
    )
    expect(await faults()).toEqual(expect.arrayContaining(['rejectedFound']))
  })

  test('finds an event that nobody sent', async () => {
    await store.command('INSERT INTO events SELECT * REPLACE (generateUUIDv4() AS id) FROM events LIMIT 1')
    expect(await faults()).toEqual(expect.arrayContaining(['foreign', 'ledgerDifference']))
  })

  test('finds a fold that drifted', async () => {
    await store.command(
      'CREATE OR REPLACE TABLE drifted ENGINE = Memory AS SELECT * REPLACE (page_views + 1 AS page_views) FROM fold_daily LIMIT 1',
    )
    await store.command(
      'DELETE FROM fold_daily WHERE (deployment, local_day) IN (SELECT deployment, local_day FROM drifted)',
    )
    await store.command('INSERT INTO fold_daily SELECT * FROM drifted')
    expect(await faults()).toEqual(['foldDifferences', 'dayDifferences'])
  })

  test('finds a day whose fold is gone', async () => {
    await store.command(
      'DELETE FROM fold_daily WHERE (deployment, local_day) = (SELECT deployment, local_day FROM fold_daily LIMIT 1)',
    )
    expect(await faults()).toEqual(['foldDifferences', 'dayDifferences'])
  })

  test('expects no fold of a closed day to be what its events say: retention took them', async () => {
    await store.command(
      'INSERT INTO day_marks (deployment, local_day, closed) SELECT DISTINCT deployment, local_day, 1 FROM day_marks',
    )
    await store.command('DELETE FROM events WHERE id = (SELECT min(id) FROM events)')
    expect(await faults()).toEqual(['lost', 'ledgerDifference'])
  })

  test('finds a batch that the ledger does not know', async () => {
    await store.command('DELETE FROM ledger WHERE base = 150')
    expect(await faults()).toEqual(['ledgerDifference', 'ledgerGaps'])
  })
})
