import { afterEach, beforeEach, expect, it } from 'vitest'
import { realFiles, type LogFiles } from '../src/files.ts'
import { join, recordsOf, take, textsOf } from './contract.ts'
import { makeDirectories } from './directories.ts'

let directories: Awaited<ReturnType<typeof makeDirectories>>
beforeEach(async () => {
  directories = await makeDirectories()
})
afterEach(() => directories.remove())

function diskError(code: string): Error {
  return Object.assign(new Error(`${code}: made by the test`), { code })
}

/** A disk with so many bytes left for writes: it writes short, then says ENOSPC. */
function smallDisk(freeBytes: number) {
  const disk = { freeBytes }
  const files: LogFiles = {
    ...realFiles,
    write: async (fd, buffer, length, position) => {
      const fits = Math.min(length, disk.freeBytes)
      await realFiles.write(fd, buffer, fits, position)
      disk.freeBytes -= fits
      if (fits < length) throw diskError('ENOSPC')
    },
  }
  return { disk, files }
}

it('refuses with LOG_FULL when the disk is full and accepts again when there is room, without a restart', async () => {
  const { disk, files } = smallDisk(2000)
  const directory = directories.fresh()
  const log = await directories.open(directory, { files })
  const acked: string[] = []
  const append = async (value: string) => {
    await log.append('events', recordsOf([value]))
    acked.push(value)
  }
  let refused = 0
  for (let index = 0; index < 20; index += 1) {
    await append(`${index}`.padEnd(200, '.')).catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'LOG_FULL', retryable: true })
      refused += 1
    })
  }
  expect(refused).toBeGreaterThan(5)
  disk.freeBytes = 10_000
  await append('room again')
  expect(textsOf(await take(log.tail('events', { from: 'start' }), acked.length))).toEqual(acked)
  const again = await directories.open(await directories.crashCopy(directory))
  expect(again.cutTails).toEqual([])
  expect(textsOf(await take(again.tail('events', { from: 'start' }), acked.length))).toEqual(acked)
})

it('refuses a claim with LOG_FULL when the disk is full, and keeps the position', async () => {
  const { disk, files } = smallDisk(1000)
  const log = await directories.open(directories.fresh(), { files })
  await log.append('events', recordsOf(['a']))
  const { consumer } = await join(log, 'events', 'store')
  disk.freeBytes = 3
  await expect(consumer.claim(0, 1)).rejects.toMatchObject({ code: 'LOG_FULL' })
  disk.freeBytes = 1000
  expect(await consumer.position(0)).toEqual({ next: 0 })
  await consumer.claim(0, 1)
  expect(await consumer.position(0)).toEqual({ next: 0, claimed: 1 })
})

it.each(['datasync', 'write', 'truncate'] as const)('stops for good when %s fails with EIO', async (operation) => {
  const directory = directories.fresh()
  let broken = false
  const real: (...given: never[]) => Promise<void> = realFiles[operation]
  const files: LogFiles = {
    ...realFiles,
    [operation]: async (...args: never[]) => {
      if (broken) throw diskError('EIO')
      return real(...args)
    },
  }
  if (operation === 'truncate') {
    files.write = async (...args) => {
      if (broken) throw diskError('ENOSPC')
      return realFiles.write(...args)
    }
  }
  const log = await directories.open(directory, { files })
  await log.append('events', recordsOf(['a']))
  broken = true
  const both = await Promise.allSettled([
    log.append('events', recordsOf(['b'])),
    log.append('events', recordsOf(['c'])),
  ])
  expect(both.map((one) => one.status === 'rejected' && (one.reason as { code: string }).code)).toEqual([
    'LOG_UNAVAILABLE',
    'LOG_UNAVAILABLE',
  ])
  broken = false
  await expect(log.append('events', recordsOf(['d']))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  expect(await log.failed).toMatchObject({ code: 'LOG_UNAVAILABLE', cause: { code: 'EIO' } })
  // What was never acknowledged is not shown either.
  expect(await log.partitions('events')).toEqual([{ partition: 0, start: 0, end: 1 }])
  await log.close()
  const again = await directories.open(directory)
  expect(textsOf(await take(again.tail('events', { from: 'start' }), 1))).toEqual(['a'])
})

it('shows no record before its sync', async () => {
  let allow = () => {}
  let held: Promise<void> | null = null
  let syncing = () => {}
  const files: LogFiles = {
    ...realFiles,
    datasync: async (fd) => {
      syncing()
      await held
      await realFiles.datasync(fd)
    },
  }
  const log = await directories.open(directories.fresh(), { files })
  const { consumer } = await join(log, 'events', 'store')
  held = new Promise((resolve) => (allow = resolve))
  const begun = new Promise<void>((resolve) => (syncing = resolve))
  const appended = log.append('events', recordsOf(['a']))
  await begun
  const limits = { maxRecords: 10, maxBytes: 1000, waitMs: 0 }
  expect((await consumer.read(0, 0, limits)).records).toEqual([])
  allow()
  await appended
  expect(textsOf((await consumer.read(0, 0, limits)).records)).toEqual(['a'])
})
