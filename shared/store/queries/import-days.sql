-- Days of an import: what this run stored, what earlier imports had stored, and what beacons counted.
SELECT
    toString(local_day) AS day,
    countIf(source = 'import' AND received_at = fromUnixTimestamp64Milli({run:Int64})) AS stored,
    countIf(source = 'import' AND received_at != fromUnixTimestamp64Milli({run:Int64})) AS earlier,
    countIf(source = 'beacon' AND NOT test) AS beacons
FROM events
WHERE deployment = {deployment:String} AND local_day BETWEEN {from:Date} AND {to:Date}
GROUP BY local_day
ORDER BY local_day
