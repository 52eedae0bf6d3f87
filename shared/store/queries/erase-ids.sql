-- Import ids, so that their lines may be imported again: of events, of failed ones, and of those that have expired since.
-- The ids of beacons stay for the days of their window: a copy that is sent again must not bring back what was erased.
ALTER TABLE event_ids DELETE
WHERE kept_for_ever AND deployment = {deployment:String} AND local_day BETWEEN {from:Date} AND {to:Date}
  AND NOT (log_id = {log_id:String} AND offset >= {ends:Array(UInt64)}[partition + 1])
