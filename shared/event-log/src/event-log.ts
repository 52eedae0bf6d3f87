/**
 * EventLog: the durable, partitioned, append-only log between ingest and the consumer.
 *
 * Guarantees that every adapter owes:
 * - durability: `append` resolves when the records are on disk (embedded) or on all in-sync replicas (kafka);
 * - delivery: at least once. A call that throws may have written some records: readers deduplicate by event id;
 * - order: offsets grow within a partition and may have gaps; nothing is promised between partitions;
 * - a group's position and claim are durable and fenced: a consumer that lost its partition gets FENCED.
 *
 * Where adapters differ: a second consumer of a group takes every partition (embedded), or its share of them (kafka).
 */
export interface LogRecord {
  /** Chooses the partition: equal keys meet in one. */
  readonly key: string
  /** UTF-8 JSON, at most 512 KiB; events are far smaller. */
  readonly value: string
}

export interface StoredRecord {
  readonly offset: number
  readonly value: Buffer
}

export interface ReadLimits {
  readonly maxRecords: number
  readonly maxBytes: number
  /** Resolve empty after this long without a record; 0: at once, with what is at hand (kafka: what was fetched ahead). */
  readonly waitMs: number
}

/** Some of what is there: a read may stop before its limits and before the end. */
export interface ReadResult {
  readonly records: StoredRecord[]
  /** Offset to read from next: one past the last record, or past a gap. */
  readonly next: number
}

export interface Position {
  /** First offset that is not consumed. */
  readonly next: number
  /** An open claim `[next, claimed)`: its rows may or may not be in the store. */
  readonly claimed?: number
}

export interface AppendResult {
  /** Where each record went, in the order given. */
  readonly positions: readonly { readonly partition: number; readonly offset: number }[]
}

export interface PartitionState {
  readonly partition: number
  /** First offset still kept. */
  readonly start: number
  /** One past the last durable record. */
  readonly end: number
}

export interface ConsumerHandlers {
  onAssigned(partition: number): void | Promise<void>
  onRevoked(partition: number): void | Promise<void>
}

export interface LogConsumer {
  position(partition: number): Promise<Position>
  /** Durably announces that `[position, end)` is about to be inserted. @throws FENCED */
  claim(partition: number, end: number): Promise<void>
  /** Reads from an offset on. Empty records mean: nothing came within `waitMs`. */
  read(partition: number, from: number, limits: ReadLimits): Promise<ReadResult>
  /** Durably moves the position to `next` and closes the claim. @throws FENCED */
  advance(partition: number, next: number): Promise<void>
  /** Gives the partitions back; open reads resolve empty. May be called twice. */
  close(): Promise<void>
}

export interface TailOptions {
  /** Where to begin: an offset by partition (others at their start), or all at one end. Default: what is appended from now on. */
  readonly from?: 'start' | 'end' | ReadonlyMap<number, number>
  /** Ends the tail once every partition named here is read up to this offset; the others are not read. Default: never. */
  readonly until?: ReadonlyMap<number, number>
  readonly signal?: AbortSignal
}

export interface TailRecord extends StoredRecord {
  readonly partition: number
}

export interface EventLog {
  /** Random, made with the log: a log that was recreated has another. */
  readonly logId: string
  /**
   * Appends records; resolves when they are durable.
   * @param records 1 to 10,000, at most 512 KiB each.
   * @throws LOG_UNAVAILABLE, LOG_FULL: retryable; some records may be written.
   */
  append(topic: string, records: readonly LogRecord[]): Promise<AppendResult>
  /** Joins a consumer group of the topic. A second consumer of the same group takes partitions from the first, and fences it there. */
  consume(topic: string, group: string, handlers: ConsumerHandlers): Promise<LogConsumer>
  /** Reads a topic without a group, record by record, until aborted or closed. */
  tail(topic: string, options?: TailOptions): AsyncIterable<TailRecord>
  /** Where each partition of a topic starts and ends now. */
  partitions(topic: string): Promise<PartitionState[]>
  close(): Promise<void>
}

/** Where each partition ends, in the order of their numbers (0, 1, …). */
export function endsOf(states: readonly PartitionState[]): number[] {
  return [...states].sort((a, b) => a.partition - b.partition).map(({ end }) => end)
}
