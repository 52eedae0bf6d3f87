-- Of the completed journeys, those for which more than one start was open.
SELECT deployment, toString(local_day) AS day, sum(ambiguous) AS numerator, sum(completed) AS denominator
FROM journeys(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
GROUP BY deployment, local_day
