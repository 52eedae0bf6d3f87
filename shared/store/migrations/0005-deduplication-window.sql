-- Tokens are remembered for two hours at least: 24 partitions that flush every two seconds insert 12 blocks a second, 86,400
-- in that time.
ALTER TABLE events MODIFY SETTING non_replicated_deduplication_window = 120000;
ALTER TABLE failed_events MODIFY SETTING non_replicated_deduplication_window = 120000;
