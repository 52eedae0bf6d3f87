-- Events that were refused, by reason.
SELECT deployment, reason AS dimension, sum(refused) AS numerator
FROM refusals
WHERE deployment IN {deployments:Array(String)} AND toDate(minute) BETWEEN {from:Date} AND {to:Date}
GROUP BY deployment, dimension
ORDER BY numerator DESC, dimension
LIMIT {limit:UInt32} BY deployment
