-- The boards' views run with the rights of `footfall_views`, so that Grafana's user may read sums of open days and never
-- the events they come from. Run as footfall_writer after every upgrade: a migration that replaces a view resets it.
ALTER TABLE footfall.counts MODIFY SQL SECURITY DEFINER DEFINER = footfall_views;
ALTER TABLE footfall.visits MODIFY SQL SECURITY DEFINER DEFINER = footfall_views;
ALTER TABLE footfall.page_loads MODIFY SQL SECURITY DEFINER DEFINER = footfall_views;
ALTER TABLE footfall.dimensions MODIFY SQL SECURITY DEFINER DEFINER = footfall_views;
ALTER TABLE footfall.entries MODIFY SQL SECURITY DEFINER DEFINER = footfall_views;
ALTER TABLE footfall.journeys MODIFY SQL SECURITY DEFINER DEFINER = footfall_views;
