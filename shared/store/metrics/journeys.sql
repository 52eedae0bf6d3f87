-- Each journey with its starts and completions.
SELECT deployment, journey AS dimension, sum(completed) AS numerator, sum(started) AS denominator
FROM journeys(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
GROUP BY deployment, dimension
ORDER BY denominator DESC, dimension
LIMIT {limit:UInt32} BY deployment
