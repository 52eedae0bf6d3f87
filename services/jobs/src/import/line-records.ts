import { createHmac, hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { EventRecord } from '@footfall/contracts/event'
import type { Deployment } from '@footfall/contracts/registry'
import type { AgentClasses } from '@footfall/enrichment/agent-classes'
import { blankRecord } from '@footfall/enrichment/blank-record'
import type { LocalTime } from '@footfall/enrichment/local-time'
import { cleanReferrer, createPageCleaner } from '@footfall/enrichment/url-hygiene'
import { isPageView, parseAccessLogLine } from './access-log.ts'

/** Equal lines carry the same second, so they stand near each other, whatever dates stand between. */
const rememberedLines = 50_000
/** A clock may be wrong by a zone. */
const mostAheadMs = 24 * 3600_000

export interface LineReaderOptions {
  readonly deployment: Deployment
  /** Of the deployment's imports, for ever: gives the same line the same id whenever it is imported. */
  readonly secret: string
  /** Of this job and a local day; made at first use, gone with the job. */
  readonly saltOf: (day: string) => string
  readonly classify: (userAgent: string) => AgentClasses
  readonly localTime: (timeZone: string, at: number) => LocalTime
  readonly receivedAt: number
  /** Unix milliseconds: lines of the future are no log lines. */
  readonly now: () => number
}

export type LineResult = { kind: 'event'; record: EventRecord } | { kind: 'other' } | { kind: 'unreadable' }

/** A UUID of version 4 made of an HMAC: looks like any id, and tells nothing of the line without the secret. */
function idOf(secret: string, deployment: string, line: string, occurrence: number): string {
  const hex = createHmac('sha256', secret).update(`${deployment}\n${occurrence}\n${line}`).digest('hex')
  const variant = ((parseInt(hex[16]!, 16) & 0x3) | 0x8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/**
 * Turns log lines into page views, in the file's order. The n-th of equal lines has an id of its own, so two equal
 * lines are two visits and a line that is imported again is the same event.
 */
export function createLineReader(options: LineReaderOptions): (line: string) => LineResult {
  const { deployment, secret, saltOf, classify, localTime, receivedAt, now } = options
  const occurrences = new Map<string, number>()
  const cleanPage = createPageCleaner()
  const base = deployment.url ?? deployment.origins[0] ?? 'http://unknown.invalid'
  const { origin } = new URL(base)
  let isCombined = false

  const occurrenceOf = (line: string): number => {
    const key = hash('sha256', line, 'base64url')
    const count = (occurrences.get(key) ?? -1) + 1
    // Taken out and put in again, a line counts as the latest.
    occurrences.delete(key)
    occurrences.set(key, count)
    if (occurrences.size > rememberedLines) occurrences.delete(occurrences.keys().next().value!)
    return count
  }

  return (line) => {
    const request = parseAccessLogLine(line)
    if (!request || request.at > now() + mostAheadMs) return { kind: 'unreadable' }
    isCombined ||= request.userAgent !== null
    // Among combined lines, a line without an agent is one that was cut.
    if (isCombined && request.userAgent === null) return { kind: 'unreadable' }
    if (!isPageView(request)) return { kind: 'other' }
    // Put together as text: resolved, `//wp-login.php` would be another host.
    const page = cleanPage(origin + request.target, deployment.keep_params)
    if (!page) return { kind: 'unreadable' }
    const { day, hour } = localTime(deployment.time_zone, request.at)
    const userAgent = request.userAgent ?? ''
    const agent = classify(userAgent)
    const visitor = hash('sha256', `${saltOf(day)}\n${request.address}\n${userAgent}`, 'hex').slice(0, 16)
    const referrer = request.referrer === '' ? '' : cleanReferrer(request.referrer, page.host)
    return {
      kind: 'event',
      record: {
        ...blankRecord,
        id: idOf(secret, deployment.id, line, occurrenceOf(line)),
        deployment: deployment.id,
        source: 'import',
        received_at: receivedAt,
        at: request.at,
        local_day: day,
        local_hour: hour,
        name: 'page_view',
        host: page.host,
        path: page.path,
        referrer,
        // Every browser names itself: who sends an empty agent is a program. The common format does not tell.
        bot: agent.bot || request.userAgent === '',
        device: agent.device,
        browser: agent.browser,
        system: agent.system,
        visitor: BigInt(`0x${visitor}`).toString(),
        content: crc32(`${request.at} ${page.path} ${referrer}`),
      },
    }
  }
}
