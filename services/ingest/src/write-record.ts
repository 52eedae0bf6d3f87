import { crc32 } from 'node:zlib'
import { recordVersion } from '@footfall/contracts/event'
import { cleanText } from '@footfall/enrichment/clean-text'
import type { Delivery, Draft } from './delivery.ts'

const noProps: Readonly<Record<string, string>> = Object.freeze({})

function textProps(
  props: Record<string, string | number | boolean | null> | undefined,
): Readonly<Record<string, string>> {
  if (!props) return noProps
  const texts: Record<string, string> = {}
  for (const [name, value] of Object.entries(props))
    if (value !== null) texts[cleanText(name)] = cleanText(String(value))
  return texts
}

/**
 * The record as the log keeps it (`EventRecord`). Written in two halves: what the sender said, whose CRC-32 tells a
 * true copy of the event from a conflicting one, and what we found out, which may differ between two tries.
 */
export function writeRecord(draft: Draft, delivery: Delivery): string {
  const event = draft.event!
  const agent = delivery.agent!
  const said = JSON.stringify({
    id: event.id.toLowerCase(),
    name: event.name,
    host: draft.host,
    path: draft.path,
    screen: cleanText(event.screen ?? ''),
    referrer: draft.referrer,
    props: textProps(event.props),
    value: event.value ?? null,
    journey: event.journey?.name ?? '',
    journey_id: event.journey?.id ?? '',
    journey_step: cleanText(event.journey?.step ?? ''),
    outcome: event.journey?.outcome ?? '',
    rating: event.rating ?? 0,
    dataset: cleanText(event.dataset ?? ''),
    app_version: cleanText(event.app_version ?? ''),
    page_id: delivery.beacon!.page_id ?? '',
    seq: event.seq ?? 0,
  })
  const found = JSON.stringify({
    v: recordVersion,
    deployment: delivery.owner!.deployment.id,
    source: 'beacon',
    received_at: delivery.receivedAt,
    at: draft.at,
    local_day: draft.day,
    local_hour: draft.hour,
    late: draft.late,
    test: delivery.test,
    bot: agent.bot,
    clock_corrected: draft.clockCorrected,
    device: agent.device,
    browser: agent.browser,
    system: agent.system,
    country: delivery.country,
    visitor: draft.visitor,
    attempt: event.attempt ?? 1,
    content: crc32(said, event.at >>> 0),
  })
  return `${found.slice(0, -1)},${said.slice(1)}`
}
