-- The next failed events after a place, in the log's order.
SELECT log_id, partition, offset, record FROM failed_events
WHERE replayed_at IS NULL
  AND ({deployment:String} = '' OR deployment = {deployment:String}) AND ({reason:String} = '' OR reason = {reason:String})
  AND (log_id, partition, offset) > ({log_id:String}, {partition:UInt32}, {offset:Int64})
ORDER BY log_id, partition, offset
LIMIT {limit:UInt32}
