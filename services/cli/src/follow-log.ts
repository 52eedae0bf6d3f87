import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { ImportCounts } from './commands/import.ts'
import type { Server } from './server.ts'

const linesPerRequest = 1_000
const lookEveryMs = 500

/** The stream itself, or what it holds when it is gzip. */
async function unpack(stream: Readable): Promise<Readable> {
  await new Promise<void>((resolve) => {
    stream.once('readable', resolve)
    stream.once('end', resolve)
  })
  const first = stream.read() as Buffer | null
  if (first === null) return stream
  stream.unshift(first)
  return first[0] === 0x1f && first[1] === 0x8b ? stream.pipe(createGunzip()) : stream
}

/** Hands the lines of a stream to the server, in order; they are kept nowhere. */
export async function sendLines(server: Server, deployment: string, stream: Readable): Promise<ImportCounts> {
  const { id } = await server.request<{ id: string }>('POST', '/api/v1/imports', { deployment })
  let counts: ImportCounts = { lines: 0, events: 0, other: 0, unreadable: 0 }
  let lines: string[] = []
  const send = async (): Promise<void> => {
    counts = await server.request<ImportCounts>('POST', `/api/v1/imports/${id}/lines`, { lines })
    lines = []
    process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${counts.lines} lines, ${counts.events} page views` : '')
  }
  for await (const line of createInterface({ input: await unpack(stream), crlfDelay: Infinity })) {
    lines.push(line.slice(0, 20_000))
    if (lines.length >= linesPerRequest) await send()
  }
  await send()
  if (process.stderr.isTTY) process.stderr.write('\n')
  return counts
}

/**
 * Follows a log as it is written, from its beginning; a file that is rotated or cut is read from its new beginning.
 * Runs until the process is stopped.
 */
export async function followLog(server: Server, deployment: string, path: string): Promise<never> {
  const { id } = await server.request<{ id: string }>('POST', '/api/v1/imports', { deployment })
  let position = 0
  let inode: number | null = null
  let rest = ''
  for (;;) {
    const handle = await open(path)
    try {
      const { size, ino } = await handle.stat()
      if (ino !== inode || size < position) {
        inode = ino
        position = 0
        rest = ''
      }
      while (position < size) {
        const buffer = Buffer.alloc(Math.min(1024 * 1024, size - position))
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, position)
        if (bytesRead === 0) break
        // One byte a character, as logs have them: a character that is cut in two stays whole.
        const parts = (rest + buffer.toString('latin1', 0, bytesRead)).split('\n')
        const last = parts.pop()!
        const lines = parts.map((line) =>
          Buffer.from(line, 'latin1').toString('utf8').replace(/\r$/, '').slice(0, 20_000),
        )
        for (let start = 0; start < lines.length; start += linesPerRequest) {
          const counts = await server.request<ImportCounts>('POST', `/api/v1/imports/${id}/lines`, {
            lines: lines.slice(start, start + linesPerRequest),
          })
          process.stderr.write(
            process.stderr.isTTY ? `\r\u001b[K${counts.lines} lines, ${counts.events} page views` : '',
          )
        }
        rest = last
        position += bytesRead
      }
    } finally {
      await handle.close()
    }
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  }
}
