-- Events whose time was corrected because the sender's clock was wrong.
SELECT deployment, toString(local_day) AS day, corrected_events AS numerator, events AS denominator
FROM counts(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
