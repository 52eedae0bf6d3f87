-- Import ids of the events that go, so that their lines may be imported again.
ALTER TABLE event_ids DELETE WHERE kept_for_ever AND deployment = {deployment:String} AND (log_id, partition, offset) IN
(
    SELECT log_id, partition, offset FROM events
    WHERE deployment = {deployment:String} AND local_day BETWEEN {from:Date} AND {to:Date} AND source = 'import'
      AND NOT (log_id = {log_id:String} AND offset >= {end:UInt64})
)
