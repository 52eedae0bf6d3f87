-- What became of the accepted events of each deployment, counted from the tables themselves.
SELECT deployment, sum(read) AS read, sum(stored) AS stored, sum(failed) AS failed, sum(deduplicated) AS deduplicated, sum(expired) AS expired, sum(erased) AS erased
FROM
(
    SELECT deployment, toInt64(read) AS read, 0 AS stored, 0 AS failed, toInt64(deduplicated) AS deduplicated, 0 AS expired, 0 AS erased FROM ledger FINAL
    UNION ALL
    SELECT deployment, 0, count(), 0, 0, 0, 0 FROM events GROUP BY deployment
    UNION ALL
    SELECT deployment, 0, 0, countIf(replayed_at IS NULL), 0, 0, 0 FROM failed_events GROUP BY deployment
    UNION ALL
    SELECT deployment, 0, 0, 0, 0, if(kind = 'expired', toInt64(events + failed), 0), if(kind = 'erased', toInt64(events + failed), 0) FROM removals FINAL
)
WHERE {deployment:String} = '' OR deployment = {deployment:String}
GROUP BY deployment
ORDER BY deployment
