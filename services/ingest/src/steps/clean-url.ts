import type { DropReason } from '@footfall/contracts/drop-reason'
import { cleanReferrer } from '@footfall/enrichment/url-hygiene'
import type { Delivery, Draft, IngestParts } from '../delivery.ts'

/** `https://app.example:8443` without its scheme. */
const hostOf = (origin: string): string => origin.slice(origin.indexOf('//') + 2)

/**
 * Keeps host and templated path of the page, and the host of the referrer; everything else of an address goes. A page
 * speaks for its own host alone.
 */
export function cleanUrl(draft: Draft, delivery: Delivery, parts: IngestParts): DropReason | null {
  const event = draft.event!
  if (event.url !== undefined) {
    const page = parts.cleanPage(event.url, delivery.owner!.deployment.keep_params)
    if (!page) {
      draft.where = `events[${draft.index}].url: must be an http or https address`
      return 'invalid_event'
    }
    if (delivery.origin !== null && page.host !== hostOf(delivery.origin)) {
      draft.where = `events[${draft.index}].url: its host is not that of the page`
      return 'origin_not_allowed'
    }
    draft.host = page.host
    draft.path = page.path
  }
  if (event.referrer) draft.referrer = cleanReferrer(event.referrer, draft.host)
  return null
}
