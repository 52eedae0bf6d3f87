-- Sessions: a visitor's events of a day, cut at 30 minutes of silence.
SELECT deployment, toString(local_day) AS day, sessions AS numerator
FROM visits(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
