-- Page views per day.
SELECT deployment, toString(local_day) AS day, page_views AS numerator
FROM counts(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
