-- Which of these places in the log are in `events`; the array of offsets alone lets the index skip.
SELECT log_id, partition, offset FROM events
WHERE offset IN {offsets:Array(UInt64)} AND (log_id, partition, offset) IN
(
    SELECT tupleElement(place, 1), toUInt16(tupleElement(place, 2)), tupleElement(place, 3)
    FROM (SELECT arrayJoin(arrayZip({log_ids:Array(String)}, {partitions:Array(UInt64)}, {offsets:Array(UInt64)})) AS place)
)
