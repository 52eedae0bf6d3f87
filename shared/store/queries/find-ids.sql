-- Which of these ids are taken, and by which record.
SELECT
    lower(hex(id)) AS hex,
    deployment,
    toUnixTimestamp64Milli(received_at) AS received_at,
    kept_for_ever,
    content,
    log_id,
    partition,
    offset
FROM event_ids
-- The ids come as one text of 32 digits each: as an array, 10,000 of them took twice as long.
WHERE id IN (SELECT toFixedString(substring(unhex({ids:String}), number * 16 + 1, 16), 16) FROM numbers(intDiv(length({ids:String}), 32)))
