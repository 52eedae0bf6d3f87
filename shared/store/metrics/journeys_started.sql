-- Journeys started.
SELECT deployment, toString(local_day) AS day, sum(started) AS numerator
FROM journeys(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
GROUP BY deployment, local_day
