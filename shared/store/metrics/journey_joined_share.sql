-- Of the completed journeys, those joined to their start by visitor and time.
SELECT deployment, toString(local_day) AS day, sum(joined) AS numerator, sum(completed) AS denominator
FROM journeys(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
GROUP BY deployment, local_day
