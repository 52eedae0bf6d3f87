-- Different visitors of each day; a visitor is not known again on another day.
SELECT deployment, toString(local_day) AS day, visitors AS numerator
FROM visits(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
