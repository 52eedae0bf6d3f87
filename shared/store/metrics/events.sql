-- Events of every name per day.
SELECT deployment, toString(local_day) AS day, events AS numerator
FROM counts(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
