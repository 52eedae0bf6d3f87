import type { EventRecord } from '@footfall/contracts/event'
import { shiftDay } from '@footfall/enrichment/local-time'

/**
 * The days whose numbers some events can change: their own; the next, where a journey or a page load goes on; the day
 * before for a completion, which counts for the day of its start. Their folds are no longer current.
 */
export function touchedDays(
  events: Iterable<Pick<EventRecord, 'deployment' | 'local_day' | 'name'>>,
): [deployment: string, day: string][] {
  const own = new Map<string, { deployment: string; day: string; completes: boolean }>()
  for (const { deployment, local_day: day, name } of events) {
    const key = `${day}${deployment}`
    const known = own.get(key)
    if (!known) own.set(key, { deployment, day, completes: name === 'journey_complete' })
    else known.completes ||= name === 'journey_complete'
  }
  const days = new Map<string, [string, string]>()
  for (const { deployment, day, completes } of own.values()) {
    for (const touched of [day, shiftDay(day, 1), ...(completes ? [shiftDay(day, -1)] : [])])
      days.set(`${touched}${deployment}`, [deployment, touched])
  }
  return [...days.values()]
}
