/** What a sender should do about an event that was not accepted. */
export type ReceiptResult = 'dropped' | 'retry'

/**
 * The closed list of reasons why an event is not accepted. Each is counted per deployment and minute and told to the
 * sender in a receipt. `retry`: the same event, with the same id, may be sent again.
 */
export const dropReasons = {
  invalid_event: { result: 'dropped', message: 'The event does not have the documented form.' },
  event_too_large: { result: 'dropped', message: 'The event is larger than 16 KiB.' },
  too_many_events: { result: 'dropped', message: 'A request carries at most 100 events.' },
  undeclared_name: { result: 'dropped', message: 'The event name is not declared for this deployment.' },
  too_many_names: { result: 'dropped', message: 'This deployment has used up its 200 custom event names today.' },
  opted_out: { result: 'dropped', message: 'The visitor objects (GPC, DNT or opt-out): nothing is kept.' },
  mode_off: { result: 'dropped', message: 'Measurement of this deployment is switched off.' },
  deployment_retired: { result: 'dropped', message: 'This deployment is retired.' },
  unknown_key: { result: 'dropped', message: 'The key is unknown or revoked.' },
  origin_not_allowed: { result: 'dropped', message: 'The page is not on the list of origins of the deployment.' },
  malformed: { result: 'dropped', message: 'The request could not be read.' },
  body_too_large: { result: 'dropped', message: 'The body is larger than the key allows.' },
  rate_limited: { result: 'retry', message: 'Too many events for now.' },
  log_unavailable: { result: 'retry', message: 'The event log cannot take events now.' },
} as const satisfies Record<string, { result: ReceiptResult; message: string }>

export type DropReason = keyof typeof dropReasons

/** Why an accepted event ended in `failed_events`. */
export const failReasons = {
  late: 'The event happened more than 7 days before it arrived.',
  invalid_record: 'The record in the log could not be read as an event.',
  refused_by_store: 'The store refused the row.',
} as const

export type FailReason = keyof typeof failReasons
