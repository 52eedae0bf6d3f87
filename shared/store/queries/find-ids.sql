-- Earlier copies of these ids; those that a first try of the same batch wrote do not count.
SELECT
    lower(hex(id)) AS hex,
    deployment,
    toUnixTimestamp64Milli(received_at) AS received_at,
    kept_for_ever,
    content
FROM event_ids
WHERE id IN (SELECT toFixedString(unhex(arrayJoin({ids:Array(String)})), 16))
  AND NOT (log_id = {log_id:String} AND partition = {partition:UInt16} AND offset >= {base:UInt64} AND offset < {end:UInt64})
