import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkBackup } from '../../src/commands/restore.ts'

/** `head -c 2147483648 /dev/zero | sha256sum` */
const zeros = 'a7c744c13cc101ed66c29f672f92455547889cc586ce6d44fe76ae824958ea51'

test('a backup with a file beyond 2 GiB is checked like any other', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'footfall-restore-'))
  try {
    const file = join(directory, 'store.tar.zst')
    await writeFile(file, '')
    // All of it a hole: takes no room on the disk.
    await truncate(file, 2 ** 31)
    await writeFile(
      join(directory, 'backup.json'),
      JSON.stringify({
        v: 1,
        made_at: '2026-03-10',
        files: [{ path: 'store.tar.zst', bytes: 2 ** 31, sha256: zeros }],
      }),
    )
    expect((await checkBackup(directory)).files).toHaveLength(1)
    await truncate(file, 10)
    await expect(checkBackup(directory)).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
  } finally {
    await rm(directory, { recursive: true })
  }
})
