-- Events of known bots, of all events.
SELECT deployment, toString(local_day) AS day, bot_events AS numerator, events + bot_events AS denominator
FROM counts(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
