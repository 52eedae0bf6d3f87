import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { PipelineError } from '@footfall/contracts/errors'
import { parseAccessLogLine } from '@footfall/jobs/import/access-log'
import { isBrokenGzip } from '@footfall/jobs/import/import-log'
import type { ImportCounts, ImportResult } from '@footfall/jobs/import/import-result'
import { createLineCutter } from '@footfall/jobs/import/line-cutter'
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

interface Feed {
  /** Hands lines to the server, in order; they are kept nowhere. */
  send(lines: readonly string[]): Promise<void>
  /** What they came to, once the store has them. */
  result(): Promise<ImportResult>
}

async function startFeed(server: Server, deployment: string): Promise<Feed> {
  const { id } = await server.request<{ id: string }>('POST', '/api/v1/imports', { deployment })
  return {
    async send(lines) {
      for (let start = 0; start < lines.length; start += linesPerRequest) {
        const counts = await server.request<ImportCounts>('POST', `/api/v1/imports/${id}/lines`, {
          lines: lines.slice(start, start + linesPerRequest),
        })
        if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${counts.lines} lines, ${counts.events} page views`)
      }
    },
    async result() {
      if (process.stderr.isTTY) process.stderr.write('\n')
      return server.request<ImportResult>('GET', `/api/v1/imports/${id}`)
    },
  }
}

/**
 * Hands the lines of a stream to the server. A last line without a newline counts when it is whole: in the combined
 * format, whose end can be seen.
 */
export async function sendLines(server: Server, deployment: string, stream: Readable): Promise<ImportResult> {
  const feed = await startFeed(server, deployment)
  const cutter = createLineCutter()
  let lines: string[] = []
  try {
    for await (const bytes of await unpack(stream)) {
      lines.push(...cutter.cut(bytes as Buffer))
      if (lines.length < linesPerRequest) continue
      await feed.send(lines)
      lines = []
    }
  } catch (error) {
    if (!isBrokenGzip(error)) throw error
    await feed.send(lines)
    const { events, lines: line } = await feed.result()
    throw new PipelineError(
      'INVALID_REQUEST',
      `The input breaks off after line ${line}: its gzip data are cut or damaged. ` +
        `${events} page views up to there were sent. Import it again whole: they are not counted twice.`,
      { cause: error },
    )
  }
  const last = cutter.rest()
  if (typeof parseAccessLogLine(last)?.userAgent === 'string') lines.push(last)
  await feed.send(lines)
  return feed.result()
}

/**
 * Follows a log as it is written, from its beginning; a file that is rotated or cut is read from its new beginning.
 * Runs until the process is stopped.
 * @param onCaughtUp told once, when what the file held at the start has been counted.
 */
export async function followLog(
  server: Server,
  deployment: string,
  path: string,
  onCaughtUp: (result: ImportResult) => void,
): Promise<never> {
  const feed = await startFeed(server, deployment)
  let position = 0
  let inode: number | null = null
  let cutter = createLineCutter()
  let isCaughtUp = false
  for (;;) {
    const handle = await open(path)
    try {
      const { size, ino } = await handle.stat()
      if (ino !== inode || size < position) {
        inode = ino
        position = 0
        cutter = createLineCutter()
      }
      while (position < size) {
        const buffer = Buffer.alloc(Math.min(1024 * 1024, size - position))
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, position)
        if (bytesRead === 0) break
        await feed.send(cutter.cut(buffer.subarray(0, bytesRead)))
        position += bytesRead
      }
    } finally {
      await handle.close()
    }
    if (!isCaughtUp) onCaughtUp(await feed.result())
    isCaughtUp = true
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  }
}
