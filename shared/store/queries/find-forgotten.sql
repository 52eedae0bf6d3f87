-- Events with these ids that were received while ids are forgotten; those of the batch itself do not count.
SELECT
    toString(id) AS uuid,
    deployment,
    toUnixTimestamp64Milli(received_at) AS received_ms
FROM events
WHERE deployment IN {deployments:Array(String)}
  AND received_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND received_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
  -- The ids come as one text of 36 characters each, as they do for `event_ids`.
  AND id IN (SELECT toUUIDOrZero(substring({ids:String}, number * 36 + 1, 36)) FROM numbers(intDiv(length({ids:String}), 36)))
  AND NOT (log_id = {log_id:String} AND partition = {partition:UInt16} AND offset >= {base:UInt64} AND offset < {end:UInt64})
