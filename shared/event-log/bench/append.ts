import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedEventLog } from '../src/embedded.ts'

const callers = 64
const record = { key: 'k', value: JSON.stringify({ text: 'x'.repeat(385) }) }

/**
 * Prints how many records a second 64 callers append durably, and the CPU time of each, beside the limit of the same disk in the
 * same round: one write and one sync of a whole round's bytes, over and over.
 */
export async function benchAppend(durationMs = 2000, directory = tmpdir()): Promise<void> {
  const base = await mkdtemp(join(directory, 'footfall-bench-'))
  try {
    for (const batch of [1, 10, 100]) {
      const limit = await syncRate(join(base, 'raw'), Buffer.alloc(callers * batch * 404), durationMs / 4)
      const own = await appendRate(join(base, `log-${batch}`), batch, durationMs)
      const ratio = own.recordsPerSecond / (limit * callers * batch)
      console.log(
        `batch ${batch}: ${Math.round(own.recordsPerSecond)} records/s, ${own.microseconds.toFixed(2)} µs CPU a record, ` +
          `${ratio.toFixed(2)} of one sync for each round of ${callers} callers`,
      )
    }
  } finally {
    await rm(base, { recursive: true })
  }
}

async function appendRate(directory: string, batch: number, durationMs: number) {
  const log = await openEmbeddedEventLog({ directory })
  const records = Array.from({ length: batch }, () => record)
  const cpu = process.cpuUsage()
  const start = performance.now()
  let count = 0
  const call = async () => {
    while (performance.now() - start < durationMs) {
      await log.append('events', records)
      count += batch
    }
  }
  await Promise.all(Array.from({ length: callers }, call))
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await log.close()
  return { recordsPerSecond: count / seconds, microseconds: (user + system) / count }
}

async function syncRate(path: string, bytes: Buffer, durationMs: number): Promise<number> {
  const file = await open(path, 'w')
  const start = performance.now()
  let syncs = 0
  for (; performance.now() - start < durationMs; syncs += 1) {
    await file.write(bytes, 0, bytes.length, (syncs % 16) * bytes.length)
    await file.datasync()
  }
  await file.close()
  return (syncs * 1000) / (performance.now() - start)
}
