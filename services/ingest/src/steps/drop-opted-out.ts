import type { DropReason } from '@footfall/contracts/drop-reason'
import type { Delivery, Draft } from '../delivery.ts'

/**
 * Honours Global Privacy Control and Do Not Track, also where a backend passes them on: the refusal is counted, nothing
 * else is kept, not even which field would have been wrong.
 */
export function dropOptedOut(_draft: Draft, delivery: Delivery): DropReason | null {
  return delivery.headers['sec-gpc'] === '1' || delivery.headers.dnt === '1' ? 'opted_out' : null
}
