-- Page views of known visitors, per session.
SELECT deployment, toString(local_day) AS day, views_with_visitor AS numerator, sessions AS denominator
FROM visits(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
