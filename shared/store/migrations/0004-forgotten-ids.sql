-- Up to which day of receipt the ids of beacons may be gone from `event_ids`: noted before the first of them goes. The
-- oldest day that is left there does not tell: a spool that is emptied late puts ids of long ago beside it.
CREATE TABLE IF NOT EXISTS forgotten_ids
(
    before Date
)
ENGINE = ReplacingMergeTree
ORDER BY before
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- What was forgotten until now was not noted: at most everything before the oldest day that is left.
INSERT INTO forgotten_ids SELECT toDate(min(received_at)) FROM event_ids WHERE NOT kept_for_ever HAVING count() > 0;
