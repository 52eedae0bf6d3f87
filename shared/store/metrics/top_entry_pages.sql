-- Pages by the sessions that began there.
SELECT deployment, value AS dimension, sum(uses) AS numerator
FROM entries(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
GROUP BY deployment, dimension
ORDER BY numerator DESC, dimension
LIMIT {limit:UInt32} BY deployment
