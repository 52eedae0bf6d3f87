-- Journeys started on the day that were completed by the end of the next.
SELECT deployment, toString(local_day) AS day, sum(completed) AS numerator
FROM journeys(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
GROUP BY deployment, local_day
