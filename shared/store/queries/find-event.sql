-- Whether an event is there: the days let the primary key find it.
SELECT count() AS found
FROM events
WHERE deployment = {deployment:String} AND local_day BETWEEN {from:Date} AND {to:Date} AND id = toUUID({id:String})
