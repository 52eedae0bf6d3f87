-- Sessions of a single event, of all sessions.
SELECT deployment, toString(local_day) AS day, bounces AS numerator, sessions AS denominator
FROM visits(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
