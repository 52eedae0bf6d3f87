-- Days are the deployment's own, as they are for its events.
ALTER TABLE refusals DELETE
WHERE deployment = {deployment:String} AND toDate(minute, {time_zone:String}) BETWEEN {from:Date} AND {to:Date}
