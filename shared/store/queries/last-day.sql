-- The last day on which a deployment has events, and how many of its days lie within a period. Marks tell nothing: a
-- day is marked for what its neighbours may change in it. Of expired events the fold remains.
SELECT
    toString(max(local_day)) AS last_day,
    countIf(local_day BETWEEN {from:Date} AND {to:Date}) AS days_within
FROM
(
    SELECT local_day FROM events WHERE deployment = {deployment:String} GROUP BY local_day
    UNION DISTINCT
    SELECT local_day FROM fold_daily WHERE deployment = {deployment:String} GROUP BY local_day
)
HAVING count() > 0
