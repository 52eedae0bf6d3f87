import { mkdir, open, rename, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { PipelineError } from '@footfall/contracts/errors'
import type { Store } from '@footfall/store/open'
import { readQuery } from '@footfall/store/queries'

/** Twice of what the event log leaves free: no backup may bring it to refuse events. */
const leastSpareBytes = 512 * 1024 * 1024

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Writes the whole store into one file `NAME.tar.zst` of the directory; resolves to its path. What stands there under that
 * name is replaced only once the new one is whole.
 * @throws STORE_UNAVAILABLE when the disk has no room for it, or the engine cannot write it.
 */
export async function keepStore(
  store: Store,
  directory: string,
  name: string,
  spareBytes = leastSpareBytes,
): Promise<string> {
  const file = join(directory, `${name}.tar.zst`)
  const building = join(directory, `${name}.building.tar.zst`)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await rm(building, { force: true })
  const [row] = await store.query<{ bytes: string }>(readQuery('store-bytes'))
  const needed = Number(row?.bytes ?? 0) + spareBytes
  const { bavail, bsize } = await statfs(directory)
  if (bavail * bsize < needed)
    throw new PipelineError(
      'STORE_UNAVAILABLE',
      `${directory} has ${Math.floor((bavail * bsize) / 1e6)} MB free, ${Math.ceil(needed / 1e6)} MB are needed.`,
    )
  try {
    await store.command(`BACKUP DATABASE footfall TO File('${building.replace(/'/g, "\\'")}')`)
    await sync(building)
    await rename(building, file)
    await sync(directory)
  } catch (error) {
    await rm(building, { force: true })
    throw error
  }
  return file
}
