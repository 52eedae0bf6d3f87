-- count-kept
-- What no migration may change, each as one number: what became of every event that was read, which ids are taken, what
-- retention and erasure took out, and the folds of closed days, whose events are gone. Rows of the log count below where
-- it was consumed to when the migrations began: a consumer that was left running adds beyond it.
-- Left out: what is made again at any time (folds of open days, marks), refusals, which are in no ledger and come late,
-- and months that the engine itself clears away.
-- Names tables of the first two migrations alone: it reads stores that have no others.
WITH
    -- A place is one number: looked up as pairs, ten million rows took 12 s instead of 2 to 4.
    arrayDistinct({log_ids:Array(String)}) AS logs,
    arrayPushBack(arrayMap((log, number) -> toUInt64(indexOf(logs, log)) * 65536 + number, {log_ids:Array(String)}, {partitions:Array(UInt16)}), toUInt64(0)) AS places,
    arrayPushBack({ends:Array(UInt64)}, toUInt64(0)) AS ends,
    closed AS
    (
        SELECT deployment, local_day, max(version) AS version FROM day_marks
        GROUP BY deployment, local_day HAVING max(closed) > 0
    )
SELECT what, number FROM
(
    SELECT 'events' AS what, toInt64(countIf(offset < transform(toUInt64(indexOf(logs, log_id)) * 65536 + partition, places, ends, toUInt64(0)))) AS number
    FROM events WHERE toYYYYMM(received_at) >= {oldest_month:UInt32}
    UNION ALL
    SELECT 'failed events', toInt64(countIf(offset < transform(toUInt64(indexOf(logs, log_id)) * 65536 + partition, places, ends, toUInt64(0))))
    FROM failed_events WHERE toYYYYMM(received_at) >= {oldest_month:UInt32} OR reason = 'invalid_record'
    UNION ALL
    SELECT 'ids', toInt64(countIf(offset < transform(toUInt64(indexOf(logs, log_id)) * 65536 + partition, places, ends, toUInt64(0)))) FROM event_ids
    UNION ALL
    SELECT tupleElement(pair, 1), toInt64(tupleElement(pair, 2)) FROM
    (
        SELECT arrayJoin([('read', sum(read)), ('stored', sum(stored)), ('failed', sum(failed)), ('deduplicated', sum(deduplicated))]) AS pair
        FROM ledger FINAL WHERE `end` <= transform(toUInt64(indexOf(logs, log_id)) * 65536 + partition, places, ends, toUInt64(0))
    )
    UNION ALL
    SELECT 'expired and erased', toInt64(sum(events + failed)) FROM removals FINAL
    UNION ALL
    SELECT 'closed days', toInt64(count()) FROM closed
    UNION ALL
    SELECT 'folds of closed days', toInt64(count()) FROM fold_daily WHERE (deployment, local_day, version) IN (SELECT * FROM closed)
    UNION ALL
    SELECT 'values of closed days', toInt64(count()) FROM fold_dimensions WHERE (deployment, local_day, version) IN (SELECT * FROM closed)
    UNION ALL
    SELECT 'journeys of closed days', toInt64(count()) FROM fold_journeys WHERE (deployment, local_day, version) IN (SELECT * FROM closed)
)
ORDER BY what
