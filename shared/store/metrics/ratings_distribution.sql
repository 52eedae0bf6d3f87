-- How often each rating was given.
SELECT deployment, toString(level.1) AS dimension, sum(level.2) AS numerator
FROM counts(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
ARRAY JOIN [(1, rating_1), (2, rating_2), (3, rating_3), (4, rating_4), (5, rating_5)] AS level
GROUP BY deployment, dimension
ORDER BY dimension
