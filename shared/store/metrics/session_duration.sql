-- Seconds from the first to the last event of a session, summed over sessions.
SELECT deployment, toString(local_day) AS day, session_seconds AS numerator, sessions AS denominator
FROM visits(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
