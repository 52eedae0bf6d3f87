-- Tokens are remembered for two hours at least: 24 partitions that flush every three seconds insert 8 blocks a second, and
-- two of each where a batch meets the end of a month.
ALTER TABLE events MODIFY SETTING non_replicated_deduplication_window = 120000;
ALTER TABLE failed_events MODIFY SETTING non_replicated_deduplication_window = 120000;
