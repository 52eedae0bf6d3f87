-- Nothing that was published of these days stays.
ALTER TABLE day_marks UPDATE closed = 0
WHERE deployment = {deployment:String} AND local_day BETWEEN {from:Date} AND {to:Date}
