-- Events of the last 30 minutes, by the minute they happened.
SELECT deployment, formatDateTime(at, '%Y-%m-%dT%H:%i:00Z') AS dimension, count() AS numerator
FROM events
WHERE deployment IN {deployments:Array(String)} AND local_day >= toDate(fromUnixTimestamp64Milli({now:Int64})) - 2
  AND at > fromUnixTimestamp64Milli({now:Int64}) - INTERVAL 30 MINUTE AND NOT test AND NOT bot
GROUP BY deployment, dimension
ORDER BY dimension
