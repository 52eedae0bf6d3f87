-- Standalone data directories whose contents were taken over into this store. One that is not finished keeps consumers and
-- jobs waiting: what is half there must not be added to.
CREATE TABLE IF NOT EXISTS moves
(
    -- Of the event log that the directory held: its rows carry it.
    log_id String,
    started_at DateTime64(3, 'UTC'),
    finished_at Nullable(DateTime64(3, 'UTC'))
)
ENGINE = ReplacingMergeTree
ORDER BY log_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
