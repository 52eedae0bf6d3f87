import { open, rename } from 'node:fs/promises'

/** Tells the command line where the server is: its address and process, for those who may read the directory. */
export async function writeServerFile(file: string, facts: Record<string, unknown>): Promise<void> {
  const handle = await open(`${file}.new`, 'w', 0o600)
  try {
    await handle.writeFile(`${JSON.stringify(facts)}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(`${file}.new`, file)
}
