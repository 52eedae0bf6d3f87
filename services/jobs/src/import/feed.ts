import { randomBytes, randomUUID } from 'node:crypto'
import { PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import { createAgentClassifier } from '@footfall/enrichment/agent-classes'
import { createLocalClock } from '@footfall/enrichment/local-time'
import type { ImportCounts, ImportParts } from './import-log.ts'
import { createLineReader, type LineResult } from './line-records.ts'
import { readImportSecret } from './secrets.ts'

const idleMs = 60 * 60_000
const mostFeeds = 100

interface Feed {
  readonly deployment: string
  readonly read: (line: string) => LineResult
  counts: ImportCounts & { lines: number }
  usedAt: number
}

/** Imports that are handed over line by line: standard input, or a log that is still written. */
export interface Feeds {
  start(deployment: string): Promise<string>
  /** Durable when it resolves; the lines themselves are never kept. @throws NOT_FOUND, LOG_UNAVAILABLE */
  add(id: string, lines: readonly string[]): Promise<Feed['counts']>
}

/** Feeds live in memory with their salts: a server that restarts knows no visitor of an earlier feed again. */
export function createFeeds(parts: ImportParts): Feeds {
  const feeds = new Map<string, Feed>()
  return {
    async start(id) {
      const deployment = parts.findDeployment(id)
      if (!deployment) throw new PipelineError('NOT_FOUND', `There is no deployment "${id}".`)
      for (const [old, feed] of feeds) if (feed.usedAt < parts.now() - idleMs) feeds.delete(old)
      if (feeds.size >= mostFeeds) throw new PipelineError('RATE_LIMITED', 'Too many imports at once.')
      const salts: Record<string, string> = {}
      const read = createLineReader({
        deployment,
        secret: await readImportSecret(parts.secretsFile, deployment.id),
        saltOf: (day) => (salts[day] ??= randomBytes(32).toString('hex')),
        classify: createAgentClassifier(),
        localTime: createLocalClock(),
        receivedAt: parts.now(),
        now: parts.now,
      })
      const feed = randomUUID()
      feeds.set(feed, {
        deployment: deployment.id,
        read,
        counts: { lines: 0, events: 0, other: 0, unreadable: 0 },
        usedAt: parts.now(),
      })
      return feed
    },
    async add(id, lines) {
      const feed = feeds.get(id)
      if (!feed)
        throw new PipelineError('NOT_FOUND', 'There is no such import; start it again: lines that went in count once.')
      feed.usedAt = parts.now()
      const counts = { ...feed.counts, lines: feed.counts.lines + lines.length }
      const records = lines.flatMap((line) => {
        const result = feed.read(line)
        if (result.kind === 'event') {
          counts.events++
          return [{ key: feed.deployment + result.record.id, value: JSON.stringify(result.record) }]
        }
        if (line !== '') counts[result.kind]++
        return []
      })
      if (records.length > 0) await parts.log.append(topics.events, records)
      feed.counts = counts
      return counts
    },
  }
}
