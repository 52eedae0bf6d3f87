import { crc32 } from 'node:zlib'
import { recordVersion } from '@footfall/contracts/event'
import { cleanLabel, cleanText } from '@footfall/enrichment/clean-text'
import type { Delivery, Draft } from './delivery.ts'

const plain = /^[ !#-[\]-~]*$/

/** A text as JSON. Most need no escapes, and to see that is cheaper than to write them. */
const quote = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text))

function printProps(props: Readonly<Record<string, string | number | boolean | null>> | undefined): string {
  let pairs = ''
  for (const name in props) {
    const value = props[name]!
    if (value !== null)
      pairs += `${pairs === '' ? '' : ','}${quote(cleanText(name))}:${quote(cleanText(String(value)))}`
  }
  return `{${pairs}}`
}

/**
 * Writes a request's records as the log keeps them (`EventRecord`). Put together by hand because it is done for every
 * event: what all events of a request share is written once. In two halves: what the sender said, whose CRC-32 tells a
 * true copy of the event from a conflicting one, and what we found out, which may differ between two tries.
 */
export function createRecordWriter(delivery: Delivery): (draft: Draft) => string {
  const agent = delivery.agent!
  const shared =
    `"v":${recordVersion},"deployment":${quote(delivery.owner!.deployment.id)},"source":"beacon","received_at":${delivery.receivedAt},` +
    `"test":${delivery.test},"bot":${agent.bot},"device":${quote(agent.device)},"browser":${quote(agent.browser)},` +
    `"system":${quote(agent.system)},"country":${quote(delivery.country)}`
  const page = `"page_id":${quote(delivery.beacon!.page_id ?? '')}`
  return (draft) => {
    const event = draft.event!
    const { journey } = event
    const said =
      `"id":"${event.id.toLowerCase()}","name":"${event.name}","host":${quote(draft.host)},"path":${quote(draft.path)},` +
      `"screen":${quote(cleanText(event.screen ?? ''))},"referrer":${quote(draft.referrer)},"props":${printProps(event.props)},` +
      `"value":${event.value ?? null},"journey":"${journey?.name ?? ''}","journey_id":"${journey?.id ?? ''}",` +
      `"journey_step":${quote(cleanText(journey?.step ?? ''))},"outcome":"${journey?.outcome ?? ''}","rating":${event.rating ?? 0},` +
      `"dataset":${quote(cleanLabel(event.dataset ?? ''))},"app_version":${quote(cleanLabel(event.app_version ?? ''))},` +
      `${page},"seq":${event.seq ?? 0}`
    const found =
      `"at":${draft.at},"local_day":"${draft.day}","local_hour":${draft.hour},"late":${draft.late},` +
      `"clock_corrected":${draft.clockCorrected},"visitor":"${draft.visitor}","attempt":${event.attempt ?? 1}`
    return `{${shared},${found},"content":${crc32(said, event.at >>> 0)},${said}}`
  }
}
