import { createHmac, hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { EventRecord } from '@footfall/contracts/event'
import type { Deployment } from '@footfall/contracts/registry'
import type { AgentClasses } from '@footfall/enrichment/agent-classes'
import { blankRecord } from '@footfall/enrichment/blank-record'
import type { LocalTime } from '@footfall/enrichment/local-time'
import { cleanReferrer, createPageCleaner } from '@footfall/enrichment/url-hygiene'
import { isPageView, parseAccessLogLine } from './access-log.ts'

/** Equal lines carry the same second: counts of older seconds are no longer needed. */
const forgetAfterMs = 60 * 60 * 1000

export interface LineReaderOptions {
  readonly deployment: Deployment
  /** Of the deployment's imports, for ever: gives the same line the same id whenever it is imported. */
  readonly secret: string
  /** Of this job and a local day; made at first use, gone with the job. */
  readonly saltOf: (day: string) => string
  readonly classify: (userAgent: string) => AgentClasses
  readonly localTime: (timeZone: string, at: number) => LocalTime
  readonly receivedAt: number
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
  const { deployment, secret, saltOf, classify, localTime, receivedAt } = options
  const occurrences = new Map<string, { count: number; at: number }>()
  const cleanPage = createPageCleaner()
  const base = deployment.url ?? deployment.origins[0] ?? 'http://unknown.invalid'
  let newest = 0

  const occurrenceOf = (line: string, at: number): number => {
    const key = hash('sha256', line, 'base64url')
    const known = occurrences.get(key)
    const count = known ? known.count + 1 : 0
    occurrences.set(key, { count, at })
    if (at > newest + forgetAfterMs) {
      for (const [old, entry] of occurrences) if (entry.at < at - forgetAfterMs) occurrences.delete(old)
      newest = at
    }
    return count
  }

  return (line) => {
    const request = parseAccessLogLine(line)
    if (!request) return { kind: 'unreadable' }
    if (!isPageView(request)) return { kind: 'other' }
    const page = cleanPage(
      URL.canParse(request.target, base) ? new URL(request.target, base).href : base,
      deployment.keep_params,
    )
    if (!page) return { kind: 'unreadable' }
    const { day, hour } = localTime(deployment.time_zone, request.at)
    const agent = classify(request.userAgent)
    const visitor = hash('sha256', `${saltOf(day)}\n${request.address}\n${request.userAgent}`, 'hex').slice(0, 16)
    const referrer = request.referrer === '' ? '' : cleanReferrer(request.referrer, page.host)
    return {
      kind: 'event',
      record: {
        ...blankRecord,
        id: idOf(secret, deployment.id, line, occurrenceOf(line, request.at)),
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
        bot: agent.bot,
        device: agent.device,
        browser: agent.browser,
        system: agent.system,
        visitor: BigInt(`0x${visitor}`).toString(),
        content: crc32(`${request.at} ${page.path} ${referrer}`),
      },
    }
  }
}
