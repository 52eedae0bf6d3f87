-- The last refusals, a minute and reason a row, for the live view.
SELECT deployment, reason, toInt64(toUnixTimestamp(minute)) * 1000 AS at, sum(refused) AS count, '' AS where
FROM refusals
WHERE minute > toDateTime(fromUnixTimestamp64Milli({since:Int64})) AND ({deployment:String} = '' OR deployment = {deployment:String})
GROUP BY deployment, reason, minute
ORDER BY minute DESC
LIMIT 30
