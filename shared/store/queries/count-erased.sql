-- What an erasure is about to take out; rows that arrive while it runs lie at or beyond the `ends` of their partitions and stay.
SELECT
    {deployment:String} AS deployment,
    (
        SELECT count() FROM events
        WHERE deployment = {deployment:String} AND local_day BETWEEN {from:Date} AND {to:Date}
          AND NOT (log_id = {log_id:String} AND offset >= {ends:Array(UInt64)}[partition + 1])
    ) AS events,
    (
        SELECT countIf(replayed_at IS NULL) FROM failed_events
        WHERE deployment = {deployment:String} AND local_day BETWEEN {from:Date} AND {to:Date}
          AND NOT (log_id = {log_id:String} AND offset >= {ends:Array(UInt64)}[partition + 1])
    ) AS failed
