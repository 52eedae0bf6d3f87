-- Of the journeys started, those completed.
SELECT deployment, toString(local_day) AS day, sum(completed) AS numerator, sum(started) AS denominator
FROM journeys(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
GROUP BY deployment, local_day
