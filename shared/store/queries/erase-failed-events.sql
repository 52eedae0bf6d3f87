ALTER TABLE failed_events DELETE
WHERE deployment = {deployment:String} AND local_day BETWEEN {from:Date} AND {to:Date}
  AND NOT (log_id = {log_id:String} AND offset >= {ends:Array(UInt64)}[partition + 1])
