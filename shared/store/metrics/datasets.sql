-- Open datasets, by uses.
SELECT deployment, value AS dimension, sum(uses) AS numerator
FROM dimensions(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, dimensions = ['dataset'])
GROUP BY deployment, dimension
ORDER BY numerator DESC, dimension
LIMIT {limit:UInt32} BY deployment
