-- Closes the days that retention is about to take events from, and those beside them: their journeys reach into these.
INSERT INTO day_marks (deployment, local_day, closed)
SELECT DISTINCT deployment, local_day, 1 FROM day_marks
WHERE (deployment, local_day) IN
(
    SELECT deployment, arrayJoin([local_day - 1, local_day, local_day + 1])
    FROM (SELECT DISTINCT deployment, local_day FROM events WHERE received_at < fromUnixTimestamp64Milli({before:Int64}))
)
