-- Every accepted event, once. Sorted so that a visitor's rows of a day lie together: sessions are derived from them.
CREATE TABLE IF NOT EXISTS events
(
    deployment LowCardinality(String),
    local_day Date,
    local_hour UInt8 CODEC(ZSTD(1)),
    visitor UInt64 CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    id UUID CODEC(ZSTD(1)),
    source Enum8('beacon' = 0, 'import' = 1, 'demo' = 2),
    test Bool,
    bot Bool,
    clock_corrected Bool,
    name LowCardinality(String),
    host LowCardinality(String),
    path String CODEC(ZSTD(1)),
    screen LowCardinality(String),
    referrer LowCardinality(String),
    props Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    value Nullable(Float64) CODEC(ZSTD(1)),
    journey LowCardinality(String),
    journey_id String CODEC(ZSTD(1)),
    journey_step LowCardinality(String),
    outcome LowCardinality(String),
    rating UInt8,
    dataset LowCardinality(String),
    app_version LowCardinality(String),
    device LowCardinality(String),
    browser LowCardinality(String),
    system LowCardinality(String),
    country LowCardinality(String),
    -- 32 bits of the page load's random id: enough to find gaps in `seq` within a deployment and day.
    page UInt32 CODEC(ZSTD(1)),
    seq UInt32 CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    log_id LowCardinality(String),
    partition UInt16,
    offset UInt64 CODEC(Delta, ZSTD(1)),
    -- Finds the rows of an open claim without reading the table.
    INDEX by_offset offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (deployment, local_day, visitor, at)
-- The hard cap. A month beyond the longest retention: the job takes rows out earlier, and counts them first.
TTL toDateTime(received_at) + INTERVAL 26 MONTH
SETTINGS non_replicated_deduplication_window = 20000, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;

-- Accepted records that could not become events; a cleaned record, never what was sent.
CREATE TABLE IF NOT EXISTS failed_events
(
    deployment LowCardinality(String),
    local_day Date,
    received_at DateTime64(3, 'UTC'),
    reason LowCardinality(String),
    detail String,
    record String CODEC(ZSTD(3)),
    replayed_at Nullable(DateTime64(3, 'UTC')),
    log_id LowCardinality(String),
    partition UInt16,
    offset UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (deployment, received_at, offset)
-- What could not be read has no time of its own, and must not go uncounted.
TTL toDateTime(received_at) + INTERVAL 26 MONTH DELETE WHERE reason != 'invalid_record'
SETTINGS non_replicated_deduplication_window = 20000, fsync_after_insert = 1, fsync_part_directory = 1;

-- Which ids are taken. Days are dropped by the retention job once the log is consumed past them, never by the wall
-- clock: a consumer that catches up after a long outage must still find the first copies. Imports stay for ever (day 0).
CREATE TABLE IF NOT EXISTS event_ids
(
    id FixedString(16) DEFAULT unhex(hex),
    hex String EPHEMERAL,
    deployment LowCardinality(String),
    -- Of the event, which may be gone by now: erasure of a period takes its import ids along.
    local_day Date,
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    kept_for_ever Bool,
    log_id LowCardinality(String),
    partition UInt16,
    offset UInt64 CODEC(Delta, ZSTD(1)),
    content UInt32
)
ENGINE = MergeTree
PARTITION BY if(kept_for_ever, toDate(0), toDate(received_at))
ORDER BY (id, deployment)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 1024;

-- No deduplication window here: repeats are the same rows, and the engine may remember a token whose rows are gone.
-- What each batch did: read = stored + failed + deduplicated. Written after the rows, so its highest end is where the
-- next batch begins. Repeats are the same rows.
CREATE TABLE IF NOT EXISTS ledger
(
    log_id LowCardinality(String),
    partition UInt16,
    base UInt64,
    `end` UInt64,
    deployment LowCardinality(String),
    read UInt32,
    stored UInt32,
    failed UInt32,
    deduplicated UInt32,
    -- Of the deduplicated: copies whose content differs from the first.
    conflicting UInt32,
    received_to DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (log_id, partition, base, deployment)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- A mark each time a (deployment, day) got or lost events, and what its fold has seen of them: the fold with the highest
-- version is current while `folded` equals the sum of marks.
CREATE TABLE IF NOT EXISTS day_marks
(
    deployment LowCardinality(String),
    local_day Date,
    marks SimpleAggregateFunction(sum, UInt64),
    folded SimpleAggregateFunction(max, UInt64),
    version SimpleAggregateFunction(max, UInt64),
    -- Retention took events out of it or of a day beside it: its fold stays as it is, whatever comes.
    closed SimpleAggregateFunction(max, UInt8)
)
ENGINE = AggregatingMergeTree
ORDER BY (deployment, local_day)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Rows that retention or erasure take out: counted once, before the first goes. What was cut off (not `done`) is finished,
-- as its bounds say, before anything else is counted.
CREATE TABLE IF NOT EXISTS removals
(
    -- Names what goes: expired:2025-10-24 (everything received before that day), erased:JOB.
    removal String,
    kind Enum8('expired' = 0, 'erased' = 1),
    deployment LowCardinality(String),
    events UInt64,
    failed UInt64,
    at DateTime64(3, 'UTC'),
    -- JSON: parameters of the statements that take the rows out.
    bounds String,
    done Bool
)
ENGINE = ReplacingMergeTree
ORDER BY (removal, deployment)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Refused events per minute; never part of the ledger.
CREATE TABLE IF NOT EXISTS refusals
(
    deployment LowCardinality(String),
    minute DateTime('UTC'),
    reason LowCardinality(String),
    refused UInt64
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (deployment, minute, reason)
TTL minute + INTERVAL 25 MONTH
SETTINGS non_replicated_deduplication_window = 20000;
