import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findOwner } from '../src/engine.ts'

test('a noted owner whose number belongs to another program by now owns nothing', async () => {
  const data = await mkdtemp(join(tmpdir(), 'footfall-owner-'))
  for (const pid of [process.ppid, process.pid]) {
    await writeFile(join(data, 'owner.pid'), String(pid))
    expect(findOwner(data)).toBeNull()
  }
  await rm(data, { recursive: true })
})
