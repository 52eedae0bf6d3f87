-- The first day with events of each deployment. A completion marks the day before it, which need not have any: then it is
-- the second marked day. Expired events leave their fold, erased ones only the mark.
WITH
    earliest AS
    (
        SELECT deployment, local_day FROM day_marks
        WHERE deployment IN {deployments:Array(String)}
        GROUP BY deployment, local_day
        ORDER BY local_day
        LIMIT 2 BY deployment
    ),
    counted AS
    (
        SELECT deployment, local_day FROM fold_daily WHERE (deployment, local_day) IN (SELECT deployment, local_day FROM earliest)
        UNION DISTINCT
        SELECT deployment, local_day FROM events WHERE (deployment, local_day) IN (SELECT deployment, local_day FROM earliest)
    )
SELECT deployment, toString(if(countIf(has_events) > 0, minIf(local_day, has_events), min(local_day))) AS day
FROM
(
    SELECT deployment, local_day, (deployment, local_day) IN (SELECT deployment, local_day FROM counted) AS has_events
    FROM earliest
)
GROUP BY deployment
