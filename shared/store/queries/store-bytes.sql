-- store-bytes
-- Room that the store takes on its disk: no backup of it takes more.
SELECT sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND database = currentDatabase()
