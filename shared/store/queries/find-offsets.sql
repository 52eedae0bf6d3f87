-- Which records of a range are in the store already.
SELECT offset FROM events
WHERE log_id = {log_id:String} AND partition = {partition:UInt16} AND offset >= {base:UInt64} AND offset < {end:UInt64}
UNION ALL
SELECT offset FROM failed_events
WHERE log_id = {log_id:String} AND partition = {partition:UInt16} AND offset >= {base:UInt64} AND offset < {end:UInt64}
