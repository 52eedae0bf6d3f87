-- How far the store has come with each partition of a log: the end of the last whole batch.
SELECT partition, max(`end`) AS next FROM ledger WHERE log_id = {log_id:String} GROUP BY partition
