import type { DropReason } from '@footfall/contracts/drop-reason'
import type { Delivery, Draft } from '../delivery.ts'

/** Honours Global Privacy Control and Do Not Track: the refusal is counted, nothing else is kept. */
export function dropOptedOut(_draft: Draft, delivery: Delivery): DropReason | null {
  if (delivery.owner?.kind === 'server') return null
  return delivery.headers['sec-gpc'] === '1' || delivery.headers.dnt === '1' ? 'opted_out' : null
}
