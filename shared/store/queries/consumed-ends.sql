-- consumed-ends
-- How far every partition of every log was consumed, and the oldest month that the engine's own clean-up (26 months)
-- leaves alone for now.
SELECT
    groupArray(log_id) AS log_ids,
    groupArray(partition) AS partitions,
    groupArray(furthest) AS ends,
    toYYYYMM(now() - INTERVAL 25 MONTH) AS oldest_month
FROM (SELECT log_id, partition, max(`end`) AS furthest FROM ledger GROUP BY log_id, partition ORDER BY log_id, partition)
