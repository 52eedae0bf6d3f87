import { recordVersion, type EventRecord } from '@footfall/contracts/event'

/** What a record that does not come from a beacon says of everything it does not know. */
export const blankRecord: Omit<
  EventRecord,
  'id' | 'deployment' | 'source' | 'received_at' | 'at' | 'local_day' | 'local_hour' | 'name'
> = {
  v: recordVersion,
  late: false,
  test: false,
  bot: false,
  clock_corrected: false,
  host: '',
  path: '',
  screen: '',
  referrer: '',
  props: {},
  value: null,
  journey: '',
  journey_id: '',
  journey_step: '',
  outcome: '',
  rating: 0,
  dataset: '',
  app_version: '',
  device: '',
  browser: '',
  system: '',
  country: '',
  visitor: '0',
  page_id: '',
  seq: 0,
  attempt: 1,
  content: 0,
}
