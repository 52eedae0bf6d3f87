-- Page views whose visitor is known, of all page views.
SELECT deployment, toString(local_day) AS day, views_with_visitor AS numerator, page_views AS denominator
FROM counts(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
