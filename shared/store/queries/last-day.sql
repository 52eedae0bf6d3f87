-- The last day on which a deployment has events, and how many of its days lie within a period.
SELECT
    toString(max(local_day)) AS last_day,
    countIf(local_day BETWEEN {from:Date} AND {to:Date}) AS days_within
FROM (SELECT local_day FROM day_marks WHERE deployment = {deployment:String} GROUP BY local_day)
HAVING count() > 0
