-- Every table that holds what was counted, and those of its columns that are stored.
SELECT tables.name AS name, any(tables.engine) AS engine, arraySort(groupArray((columns.position, columns.name))).2 AS columns
FROM system.tables AS tables
INNER JOIN system.columns AS columns ON columns.database = tables.database AND columns.table = tables.name
WHERE tables.database = currentDatabase()
    AND endsWith(tables.engine, 'MergeTree')
    AND tables.name NOT IN ('migrations', 'moves')
    AND columns.default_kind NOT IN ('EPHEMERAL', 'ALIAS', 'MATERIALIZED')
GROUP BY name
ORDER BY name
