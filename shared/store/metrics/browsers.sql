-- Browsers, by page views.
SELECT deployment, value AS dimension, sum(uses) AS numerator
FROM dimensions(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, dimensions = ['browser'])
GROUP BY deployment, dimension
ORDER BY numerator DESC, dimension
LIMIT {limit:UInt32} BY deployment
