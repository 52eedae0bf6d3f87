-- nothing-stored
-- Whether the store never took anything: what is in it, a migration cannot lose. Reads tables of the first migration alone.
SELECT
    (SELECT count() FROM ledger) + (SELECT count() FROM events) + (SELECT count() FROM failed_events)
    + (SELECT count() FROM refusals) = 0 AS is_empty
