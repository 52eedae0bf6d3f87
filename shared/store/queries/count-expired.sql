-- What retention is about to take out, per deployment.
SELECT deployment, sum(events) AS events, sum(failed) AS failed FROM
(
    SELECT deployment, count() AS events, 0 AS failed FROM events
    WHERE received_at < fromUnixTimestamp64Milli({before:Int64}) GROUP BY deployment
    UNION ALL
    SELECT deployment, 0 AS events, countIf(replayed_at IS NULL) AS failed FROM failed_events
    WHERE received_at < fromUnixTimestamp64Milli({before:Int64}) AND toUnixTimestamp64Milli(received_at) != 0 GROUP BY deployment
)
GROUP BY deployment
