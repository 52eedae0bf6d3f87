import type { Delivery, IngestParts } from '../delivery.ts'

/** Device, browser and system classes and the bot mark; the user agent itself goes no further. */
export function classifyAgent(delivery: Delivery, parts: IngestParts): null {
  delivery.agent = parts.classify(delivery.headers['user-agent'] ?? '')
  return null
}
