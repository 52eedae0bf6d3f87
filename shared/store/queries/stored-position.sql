-- How far the store has come with a partition: the end of the last whole batch, and the highest row beyond it.
WITH (SELECT max(`end`) FROM ledger WHERE log_id = {log_id:String} AND partition = {partition:UInt16}) AS ledger_end
SELECT
    ledger_end AS next,
    (
        SELECT if(count() = 0, 0, max(offset) + 1) FROM
        (
            SELECT offset FROM events
            WHERE log_id = {log_id:String} AND partition = {partition:UInt16} AND offset >= ledger_end
            UNION ALL
            SELECT offset FROM failed_events
            WHERE log_id = {log_id:String} AND partition = {partition:UInt16} AND offset >= ledger_end
        )
    ) AS rows_end
