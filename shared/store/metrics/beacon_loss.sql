-- Gaps in the numbering of the events of a page load, of all numbers given.
SELECT deployment, toString(local_day) AS day, toInt64(beacons_expected) - toInt64(beacons_received) AS numerator, beacons_expected AS denominator
FROM page_loads(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
