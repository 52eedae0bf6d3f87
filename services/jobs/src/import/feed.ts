import { randomBytes, randomUUID } from 'node:crypto'
import { PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import { createAgentClassifier } from '@footfall/enrichment/agent-classes'
import { createLocalClock } from '@footfall/enrichment/local-time'
import type { ImportParts } from './import-log.ts'
import { countLine, noLines, readImportResult, type ImportCounts, type ImportResult } from './import-result.ts'
import { createLineReader, type LineResult } from './line-records.ts'
import { readImportSecret } from './secrets.ts'

const idleMs = 60 * 60_000
const mostFeeds = 100
/** How long a result waits for the store. */
const resultWaitMs = 120_000

interface Feed {
  readonly deployment: string
  readonly read: (line: string) => LineResult
  readonly receivedAt: number
  counts: ImportCounts
  usedAt: number
}

/** Imports that are handed over line by line: standard input, or a log that is still written. */
export interface Feeds {
  start(deployment: string): Promise<string>
  /** Durable when it resolves; the lines themselves are never kept. @throws NOT_FOUND, LOG_UNAVAILABLE */
  add(id: string, lines: readonly string[]): Promise<ImportCounts>
  /** What the lines so far came to, once the store has them. @throws NOT_FOUND, STORE_UNAVAILABLE */
  result(id: string): Promise<ImportResult>
}

/** Feeds live in memory with their salts: a server that restarts knows no visitor of an earlier feed again. */
export function createFeeds(parts: ImportParts): Feeds {
  const feeds = new Map<string, Feed>()
  const find = (id: string): Feed => {
    const feed = feeds.get(id)
    if (!feed)
      throw new PipelineError('NOT_FOUND', 'There is no such import; start it again: lines that went in count once.')
    feed.usedAt = parts.now()
    return feed
  }
  return {
    async start(id) {
      const deployment = parts.findDeployment(id)
      if (!deployment) throw new PipelineError('NOT_FOUND', `There is no deployment "${id}".`)
      for (const [old, feed] of feeds) if (feed.usedAt < parts.now() - idleMs) feeds.delete(old)
      if (feeds.size >= mostFeeds) throw new PipelineError('RATE_LIMITED', 'Too many imports at once.')
      const salts: Record<string, string> = {}
      const receivedAt = parts.now()
      const read = createLineReader({
        deployment,
        secret: await readImportSecret(parts.secretsFile, deployment.id),
        saltOf: (day) => (salts[day] ??= randomBytes(32).toString('hex')),
        classify: createAgentClassifier(),
        localTime: createLocalClock(),
        receivedAt,
        now: parts.now,
      })
      const feed = randomUUID()
      feeds.set(feed, { deployment: deployment.id, read, receivedAt, counts: noLines, usedAt: receivedAt })
      return feed
    },
    async add(id, lines) {
      const feed = find(id)
      let { counts } = feed
      const records = lines.flatMap((line) => {
        const result = feed.read(line)
        counts = countLine(counts, line, result)
        return result.kind === 'event'
          ? [{ key: feed.deployment + result.record.id, value: JSON.stringify(result.record) }]
          : []
      })
      if (records.length > 0) await parts.log.append(topics.events, records)
      feed.counts = counts
      return counts
    },
    async result(id) {
      const signal = AbortSignal.timeout(resultWaitMs)
      try {
        return await readImportResult(parts, { ...find(id), signal })
      } catch (error) {
        if (!signal.aborted) throw error
        throw new PipelineError('STORE_UNAVAILABLE', 'The lines are in the log and will be counted.', { cause: error })
      }
    },
  }
}
