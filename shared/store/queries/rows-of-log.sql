-- How many rows came out of one log: 0 before anything was consumed of it.
SELECT
    (SELECT count() FROM events WHERE log_id = {log_id:String}) + (SELECT count() FROM failed_events WHERE log_id = {log_id:String})
    + (SELECT count() FROM ledger WHERE log_id = {log_id:String}) AS rows
