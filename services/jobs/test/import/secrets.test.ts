import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readImportSecret } from '../../src/import/secrets.ts'

test('first imports that begin at once keep every secret: none is made twice or lost', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'footfall-secrets-'))
  try {
    const file = join(directory, 'import-secrets.json')
    const [first, again, other] = await Promise.all(['a', 'a', 'b'].map((id) => readImportSecret(file, id)))
    expect(again).toBe(first)
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ a: first, b: other })
    expect(await readImportSecret(file, 'b')).toBe(other)
  } finally {
    await rm(directory, { recursive: true })
  }
})
