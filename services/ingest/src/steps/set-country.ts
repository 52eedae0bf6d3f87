import type { Delivery, IngestParts } from '../delivery.ts'

/** Country and nothing finer. */
export function setCountry(delivery: Delivery, parts: IngestParts): null {
  delivery.country = parts.country(delivery)
  return null
}
