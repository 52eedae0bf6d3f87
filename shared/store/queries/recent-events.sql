-- The last events that arrived, for the live view: nothing that stands for a person.
SELECT deployment, toUnixTimestamp64Milli(received_at) AS received_at, name, path, screen, referrer, device, browser, country, test, bot, journey, outcome, rating
FROM events
WHERE events.received_at > fromUnixTimestamp64Milli({since:Int64}) AND ({deployment:String} = '' OR deployment = {deployment:String})
ORDER BY events.received_at DESC
LIMIT 30
