import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

/** Counters of the pipeline, in Prometheus' form. Anybody may read them: nothing is told per deployment. */
export interface Metrics {
  readonly registry: Registry
  readonly received: Counter
  readonly refused: Counter<'reason'>
  readonly acceptSeconds: Histogram
  readonly batches: Counter
  readonly batchRecords: Histogram
  readonly insertSeconds: Histogram
  readonly stored: Counter
  readonly failed: Counter
  readonly deduplicated: Counter
  readonly lag: Gauge
  readonly behindSeconds: Gauge
  readonly logBytes: Gauge
  readonly spooled: Gauge
  readonly storeRestarts: Gauge
  readonly ready: Gauge<'part'>
  /** Of nobody until it is first set; `remove()` when it is not known. */
  readonly ledgerDifference: Gauge
  readonly canarySeconds: Histogram
  /** Of nobody until there is a canary. */
  readonly canarySeen: Gauge
  readonly canaryFailures: Counter<'step'>
}

/** A gauge that is not there until it is set: 0 would be a statement. */
function createUnknown(options: { name: string; help: string; registers: Registry[] }): Gauge {
  const gauge = new Gauge(options)
  gauge.remove()
  return gauge
}

/** Makes the counters, in a registry of their own. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  // The delay of the event loop is sampled: at the default of every 10 ms, that is what wakes an idle process most.
  collectDefaultMetrics({ register: registry, prefix: 'footfall_', eventLoopMonitoringPrecision: 100 })
  return {
    registry,
    received: new Counter({
      name: 'footfall_events_accepted_total',
      help: 'Events durable in the log',
      registers,
    }),
    refused: new Counter({
      name: 'footfall_events_refused_total',
      help: 'Events refused, by reason',
      labelNames: ['reason'],
      registers,
    }),
    acceptSeconds: new Histogram({
      name: 'footfall_accept_seconds',
      help: 'From a request to its answer',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
      registers,
    }),
    batches: new Counter({ name: 'footfall_batches_total', help: 'Batches stored', registers }),
    batchRecords: new Histogram({
      name: 'footfall_batch_records',
      help: 'Records a batch',
      buckets: [1, 10, 100, 1_000, 2_500, 5_000, 10_000],
      registers,
    }),
    insertSeconds: new Histogram({
      name: 'footfall_batch_seconds',
      help: 'From a claim to its end',
      buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30],
      registers,
    }),
    stored: new Counter({ name: 'footfall_events_stored_total', help: 'Events stored', registers }),
    failed: new Counter({ name: 'footfall_events_failed_total', help: 'Accepted events set aside', registers }),
    deduplicated: new Counter({
      name: 'footfall_events_deduplicated_total',
      help: 'Second copies left out',
      registers,
    }),
    lag: new Gauge({
      name: 'footfall_consumer_lag_records',
      help: 'Records in the log that are not consumed',
      registers,
    }),
    behindSeconds: new Gauge({
      name: 'footfall_consumer_behind_seconds',
      help: 'Age of the oldest record that is read from the log and not stored yet',
      registers,
    }),
    logBytes: new Gauge({ name: 'footfall_log_bytes', help: 'Bytes of the event log', registers }),
    spooled: new Gauge({
      name: 'footfall_spool_records',
      help: 'Records on the disk of this ingest that are not in the log yet',
      registers,
    }),
    storeRestarts: new Gauge({
      name: 'footfall_store_restarts',
      help: 'Restarts of the embedded ClickHouse',
      registers,
    }),
    ready: new Gauge({ name: 'footfall_ready', help: '1 when the part is ready', labelNames: ['part'], registers }),
    ledgerDifference: createUnknown({
      name: 'footfall_ledger_difference',
      help: 'Accepted events that the ledger cannot account for; absent while the store is away',
      registers,
    }),
    canarySeconds: new Histogram({
      name: 'footfall_canary_seconds',
      help: 'From the sending of a canary to its being in the store',
      buckets: [0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60],
      registers,
    }),
    canarySeen: createUnknown({
      name: 'footfall_canary_seen_timestamp_seconds',
      help: 'Unix time at which the last canary was seen in the store; 0: none yet',
      registers,
    }),
    canaryFailures: new Counter({
      name: 'footfall_canary_failures_total',
      help: 'Canaries that did not get through, by the step that they came to',
      labelNames: ['step'],
      registers,
    }),
  }
}
