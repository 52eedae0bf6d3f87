ALTER TABLE failed_events UPDATE replayed_at = {now:DateTime64(3, 'UTC')}
WHERE offset IN {offsets:Array(UInt64)} AND (log_id, partition, offset) IN
(
    SELECT tupleElement(place, 1), toUInt16(tupleElement(place, 2)), tupleElement(place, 3)
    FROM (SELECT arrayJoin(arrayZip({log_ids:Array(String)}, {partitions:Array(UInt64)}, {offsets:Array(UInt64)})) AS place)
)
