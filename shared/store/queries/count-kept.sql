-- count-kept
-- What no migration may change, each as one number: what became of every event that was read, which ids are taken, what
-- retention and erasure took out, and the folds of closed days, whose events are gone. Rows of the log count below where
-- it was consumed to when the migrations began: a consumer that was left running adds beyond it.
-- Left out: what is made again at any time (folds of open days, marks), refusals, which are in no ledger and come late,
-- and months that the engine itself clears away.
-- Names tables of the first two migrations alone: it reads stores that have no others.
WITH
    arrayZip({log_ids:Array(String)}, {partitions:Array(UInt16)}) AS places,
    {ends:Array(UInt64)} AS ends,
    (SELECT groupArray((deployment, local_day, version)) FROM
        (SELECT deployment, local_day, max(version) AS version FROM day_marks GROUP BY deployment, local_day HAVING max(closed) > 0)) AS closed
SELECT what, number FROM
(
    SELECT 'events' AS what, toInt64(countIf(offset < ends[indexOf(places, (log_id, partition))])) AS number
    FROM events WHERE toYYYYMM(received_at) >= {oldest_month:UInt32}
    UNION ALL
    SELECT 'failed events', toInt64(countIf(offset < ends[indexOf(places, (log_id, partition))]))
    FROM failed_events WHERE toYYYYMM(received_at) >= {oldest_month:UInt32} OR reason = 'invalid_record'
    UNION ALL
    SELECT 'ids', toInt64(countIf(offset < ends[indexOf(places, (log_id, partition))])) FROM event_ids
    UNION ALL
    SELECT tupleElement(pair, 1), toInt64(tupleElement(pair, 2)) FROM
    (
        SELECT arrayJoin([('read', sum(read)), ('stored', sum(stored)), ('failed', sum(failed)), ('deduplicated', sum(deduplicated))]) AS pair
        FROM ledger FINAL WHERE `end` <= ends[indexOf(places, (log_id, partition))]
    )
    UNION ALL
    SELECT 'expired and erased', toInt64(sum(events + failed)) FROM removals FINAL
    UNION ALL
    SELECT 'closed days', toInt64(length(closed))
    UNION ALL
    SELECT 'folds of closed days', toInt64(count()) FROM fold_daily WHERE has(closed, (deployment, local_day, version))
    UNION ALL
    SELECT 'values of closed days', toInt64(count()) FROM fold_dimensions WHERE has(closed, (deployment, local_day, version))
    UNION ALL
    SELECT 'journeys of closed days', toInt64(count()) FROM fold_journeys WHERE has(closed, (deployment, local_day, version))
)
ORDER BY what
