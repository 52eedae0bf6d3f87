import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findRoot } from '@footfall/config/root'
import { PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { openKafkaEventLog } from '@footfall/event-log/kafka'
import { openSpoolingEventLog } from '@footfall/event-log/spooling'
import { expect, test } from 'vitest'
import { startKafka } from '../../../test/servers/kafka.ts'

test('the spool of a machine that is gone is handed on by --drain-only, which then ends', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'footfall-drain-'))
  const kafka = await startKafka({ brokers: 1 })
  try {
    const gone = openSpoolingEventLog({
      connect: () => Promise.reject(new PipelineError('LOG_UNAVAILABLE')),
      spool: await openEmbeddedEventLog({ directory: join(directory, 'spool'), minFreeBytes: 0 }),
      topics: [topics.events],
    })
    const values = Array.from({ length: 5_000 }, (_, index) => `event-${index}`)
    await gone.append(
      topics.events,
      values.map((value) => ({ key: value, value })),
    )
    await gone.close()
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [join(findRoot(), 'dist/footfall.js'), 'start', 'ingest', '--drain-only'],
      {
        env: { PATH: process.env.PATH, DATA_DIR: directory, EVENT_LOG_URL: kafka.url, KAFKA_REPLICAS: '1' },
      },
    )
    expect(stdout).toContain('The spool is empty.')
    const log = await openKafkaEventLog({ brokers: kafka.brokers })
    const until = new Map((await log.partitions(topics.events)).map(({ partition, end }) => [partition, end]))
    const found: string[] = []
    for await (const { value } of log.tail(topics.events, { from: 'start', until })) found.push(value.toString())
    await log.close()
    expect(found.sort()).toEqual(values.sort())
  } finally {
    await kafka.stop()
    await rm(directory, { recursive: true, force: true })
  }
})
