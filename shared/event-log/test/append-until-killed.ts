/** A process for the tests: opens the log in its argument and appends until it is killed, printing what was acknowledged. */
import { openEmbeddedEventLog } from '../src/embedded.ts'

const [directory = '', label = ''] = process.argv.slice(2)
try {
  const log = await openEmbeddedEventLog({ directory, minFreeBytes: 0, segmentBytes: 64 * 1024 })
  process.stdout.write('open\n')
  let count = 0
  const call = async () => {
    for (;;) {
      const value = `${label}-${(count += 1)}`
      await log.append('events', [{ key: value, value: value.padEnd(300, '.') }])
      process.stdout.write(`${value}\n`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, call))
} catch (error) {
  process.stdout.write(`${String(error)}\n`)
  process.exitCode = 1
}
