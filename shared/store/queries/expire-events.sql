ALTER TABLE events DELETE WHERE received_at < fromUnixTimestamp64Milli({before:Int64})
