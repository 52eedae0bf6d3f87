-- What could not be read, in a batch where nothing could, has no time: it stays.
ALTER TABLE failed_events DELETE
WHERE received_at < fromUnixTimestamp64Milli({before:Int64}) AND toUnixTimestamp64Milli(received_at) != 0
