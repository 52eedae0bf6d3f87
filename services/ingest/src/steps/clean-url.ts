import type { DropReason } from '@footfall/contracts/drop-reason'
import { cleanPage, cleanReferrer } from '@footfall/enrichment/url-hygiene'
import type { Delivery, Draft } from '../delivery.ts'

/** Keeps host and templated path of the page, and the host of the referrer; everything else of an address goes. */
export function cleanUrl(draft: Draft, delivery: Delivery): DropReason | null {
  const event = draft.event!
  if (event.url !== undefined) {
    const page = cleanPage(event.url, delivery.owner!.deployment.keep_params)
    if (!page) {
      draft.where = `events[${draft.index}].url: must be an http or https address`
      return 'invalid_event'
    }
    draft.host = page.host
    draft.path = page.path
  }
  if (event.referrer) draft.referrer = cleanReferrer(event.referrer, draft.host)
  return null
}
