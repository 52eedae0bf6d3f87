-- Folds: what boards read over long ranges, recomputed whole for a (deployment, day) from its events. A fold's rows
-- carry a version; they count once day_marks names it, which is written last.
CREATE TABLE IF NOT EXISTS fold_daily
(
    deployment LowCardinality(String),
    local_day Date,
    version UInt64 CODEC(Delta, ZSTD(1)),
    events UInt32 CODEC(ZSTD(1)),
    page_views UInt32 CODEC(ZSTD(1)),
    views_with_visitor UInt32 CODEC(ZSTD(1)),
    bot_events UInt32 CODEC(ZSTD(1)),
    corrected_events UInt32 CODEC(ZSTD(1)),
    visitors UInt32 CODEC(ZSTD(1)),
    sessions UInt32 CODEC(ZSTD(1)),
    bounces UInt32 CODEC(ZSTD(1)),
    session_seconds UInt64 CODEC(ZSTD(1)),
    rating_1 UInt32 CODEC(ZSTD(1)),
    rating_2 UInt32 CODEC(ZSTD(1)),
    rating_3 UInt32 CODEC(ZSTD(1)),
    rating_4 UInt32 CODEC(ZSTD(1)),
    rating_5 UInt32 CODEC(ZSTD(1)),
    beacons_expected UInt32 CODEC(ZSTD(1)),
    beacons_received UInt32 CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (deployment, local_day, version);

CREATE TABLE IF NOT EXISTS fold_dimensions
(
    deployment LowCardinality(String),
    local_day Date,
    version UInt64 CODEC(Delta, ZSTD(1)),
    dimension LowCardinality(String),
    value String CODEC(ZSTD(1)),
    uses UInt32 CODEC(ZSTD(1)),
    visitors UInt32 CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (deployment, dimension, local_day, value);

CREATE TABLE IF NOT EXISTS fold_journeys
(
    deployment LowCardinality(String),
    local_day Date,
    version UInt64 CODEC(Delta, ZSTD(1)),
    journey LowCardinality(String),
    started UInt32 CODEC(ZSTD(1)),
    completed UInt32 CODEC(ZSTD(1)),
    joined UInt32 CODEC(ZSTD(1)),
    ambiguous UInt32 CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (deployment, local_day, journey, version);

-- A day is read from its fold while that has seen every mark, or is all that is left (closed); else from its events.
-- `all_days` reads every day from its events. The rule stands in each view rather than in one of its own: a view within
-- a view doubled the time that the engine takes to plan a statement, which is most of what a board waits for.

-- Days whose fold counts, for checks.
CREATE OR REPLACE VIEW clean_days AS
SELECT deployment, local_day, max(version) AS version, max(closed) AS is_closed FROM day_marks
WHERE deployment IN {deployments:Array(String)} AND local_day BETWEEN {from:Date} AND {to:Date}
GROUP BY deployment, local_day
HAVING is_closed OR sum(marks) = max(folded);

-- Sessions are derived: a visitor's events of a day, cut where more than 30 minutes pass.
CREATE OR REPLACE VIEW raw_sessions AS
SELECT
    deployment,
    local_day,
    visitor,
    arraySort(groupArray((at, path, name = 'page_view'))) AS steps,
    arraySplit((step, place) -> place > 1 AND dateDiff('millisecond', steps[place - 1].1, step.1) > 1800000, steps, arrayEnumerate(steps)) AS visits
FROM events
WHERE (deployment, local_day) IN
      (SELECT deployment, local_day FROM day_marks WHERE deployment IN {deployments:Array(String)} AND local_day BETWEEN {from:Date} AND {to:Date} GROUP BY deployment, local_day HAVING {all_days:UInt8} = 1 OR (sum(marks) != max(folded) AND max(closed) = 0))
  AND NOT test AND NOT bot AND visitor != 0 AND name NOT IN ('web_vital', 'engagement', 'error')
GROUP BY deployment, local_day, visitor;

-- What a number reads is one scan: each of the three has a view of its own, and only a fold reads them all.
CREATE OR REPLACE VIEW raw_counts AS
SELECT
    deployment,
    local_day,
    toUInt32(countIf(NOT bot)) AS events,
    toUInt32(countIf(NOT bot AND name = 'page_view')) AS page_views,
    toUInt32(countIf(NOT bot AND name = 'page_view' AND visitor != 0)) AS views_with_visitor,
    toUInt32(countIf(bot)) AS bot_events,
    toUInt32(countIf(NOT bot AND clock_corrected)) AS corrected_events,
    toUInt32(countIf(NOT bot AND rating = 1)) AS rating_1,
    toUInt32(countIf(NOT bot AND rating = 2)) AS rating_2,
    toUInt32(countIf(NOT bot AND rating = 3)) AS rating_3,
    toUInt32(countIf(NOT bot AND rating = 4)) AS rating_4,
    toUInt32(countIf(NOT bot AND rating = 5)) AS rating_5
FROM events
WHERE (deployment, local_day) IN
      (SELECT deployment, local_day FROM day_marks WHERE deployment IN {deployments:Array(String)} AND local_day BETWEEN {from:Date} AND {to:Date} GROUP BY deployment, local_day HAVING {all_days:UInt8} = 1 OR (sum(marks) != max(folded) AND max(closed) = 0))
  AND NOT test
GROUP BY deployment, local_day;

CREATE OR REPLACE VIEW raw_visits AS
SELECT
    deployment,
    local_day,
    toUInt32(count()) AS visitors,
    toUInt32(sum(arrayCount(step -> step.3, steps))) AS views_with_visitor,
    toUInt32(sum(length(visits))) AS sessions,
    toUInt32(sum(arrayCount(session -> length(session) = 1, visits))) AS bounces,
    toUInt64(sum(arraySum(session -> dateDiff('second', session[1].1, session[-1].1), visits))) AS session_seconds
FROM raw_sessions(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, all_days = {all_days:UInt8})
GROUP BY deployment, local_day;

-- `seq` counts within a page load, so what is missing below the highest was lost on its way. A page that was open at
-- midnight counts from its lowest of the day: what lies below belongs to the day before.
CREATE OR REPLACE VIEW raw_page_loads AS
SELECT
    deployment,
    local_day,
    toUInt32(sum(highest + 1 - if(is_continued, lowest, 0))) AS beacons_expected,
    toUInt32(sum(received)) AS beacons_received
FROM
(
    SELECT
        deployment,
        local_day,
        page,
        min(seq) AS lowest,
        max(seq) AS highest,
        uniqExact(seq) AS received,
        (deployment, local_day - 1, page) IN
        (
            SELECT deployment, local_day, page FROM events
            WHERE (deployment, local_day) IN
                  (SELECT deployment, local_day - 1 FROM day_marks WHERE deployment IN {deployments:Array(String)} AND local_day BETWEEN {from:Date} AND {to:Date} GROUP BY deployment, local_day HAVING {all_days:UInt8} = 1 OR (sum(marks) != max(folded) AND max(closed) = 0))
              AND NOT test AND NOT bot AND page != 0
        ) AS is_continued
    FROM events
    WHERE (deployment, local_day) IN
          (SELECT deployment, local_day FROM day_marks WHERE deployment IN {deployments:Array(String)} AND local_day BETWEEN {from:Date} AND {to:Date} GROUP BY deployment, local_day HAVING {all_days:UInt8} = 1 OR (sum(marks) != max(folded) AND max(closed) = 0))
      AND NOT test AND NOT bot AND page != 0
    GROUP BY deployment, local_day, page
)
GROUP BY deployment, local_day;

CREATE OR REPLACE VIEW raw_daily AS
SELECT
    counted.deployment AS deployment,
    counted.local_day AS local_day,
    counted.* EXCEPT (deployment, local_day),
    visitors,
    sessions,
    bounces,
    session_seconds,
    beacons_expected,
    beacons_received
FROM raw_counts(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, all_days = {all_days:UInt8}) AS counted
LEFT JOIN
(
    SELECT * EXCEPT views_with_visitor FROM raw_visits(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, all_days = {all_days:UInt8})
) AS visited USING (deployment, local_day)
LEFT JOIN
(
    SELECT * FROM raw_page_loads(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, all_days = {all_days:UInt8})
) AS loaded USING (deployment, local_day);

CREATE OR REPLACE VIEW raw_values AS
SELECT
    deployment,
    local_day,
    pair.1 AS dimension,
    pair.2 AS value,
    toUInt32(count()) AS uses,
    toUInt32(uniqExactIf(visitor, visitor != 0)) AS visitors
FROM events
ARRAY JOIN if(
    name = 'page_view',
    [('page', path), ('referrer', referrer), ('device', device), ('browser', browser), ('system', system), ('country', country), ('event', name)],
    if(name = 'dataset_used', [('event', name), ('dataset', dataset)], [('event', name)])
) AS pair
WHERE (deployment, local_day) IN
      (SELECT deployment, local_day FROM day_marks WHERE deployment IN {deployments:Array(String)} AND local_day BETWEEN {from:Date} AND {to:Date} GROUP BY deployment, local_day HAVING {all_days:UInt8} = 1 OR (sum(marks) != max(folded) AND max(closed) = 0))
  AND NOT test AND NOT bot
GROUP BY deployment, local_day, dimension, value;

CREATE OR REPLACE VIEW raw_entries AS
SELECT deployment, local_day, 'entry' AS dimension, arrayFirst(step -> step.2 != '', session).2 AS value, toUInt32(count()) AS uses, toUInt32(uniqExact(visitor)) AS visitors
FROM raw_sessions(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, all_days = {all_days:UInt8})
ARRAY JOIN visits AS session
WHERE value != ''
GROUP BY deployment, local_day, value;

CREATE OR REPLACE VIEW raw_dimensions AS
SELECT deployment, local_day, dimension, value, uses, visitors FROM raw_values(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, all_days = {all_days:UInt8})
UNION ALL
SELECT deployment, local_day, dimension, value, uses, visitors FROM raw_entries(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, all_days = {all_days:UInt8});

-- Journeys by the day they were started. What a day comes to depends on its own steps, the starts of the day before and
-- the completions of the day after, never on which other days are asked for: a fold of a day alone is that of all together.
-- A start whose id began the day before is the same journey. A completion belongs to the start with its id, from that
-- moment to the end of the next day; one without such a start joins the same visitor's latest open start of that journey
-- and day, each start once.
CREATE OR REPLACE VIEW raw_journeys AS
WITH
    steps AS
    (
        SELECT deployment, day, local_day, visitor, at, journey, journey_id, is_start
        FROM
        (
            SELECT deployment, local_day, visitor, at, journey, journey_id, name = 'journey_start' AS is_start
            FROM events
            WHERE (deployment, local_day) IN
                  (SELECT deployment, arrayJoin([day - 1, day, day + 1]) FROM (SELECT deployment, local_day AS day FROM day_marks WHERE deployment IN {deployments:Array(String)} AND local_day BETWEEN {from:Date} AND {to:Date} GROUP BY deployment, local_day HAVING {all_days:UInt8} = 1 OR (sum(marks) != max(folded) AND max(closed) = 0)))
              AND NOT test AND NOT bot AND journey != ''
              AND (name = 'journey_start' OR (name = 'journey_complete' AND outcome NOT IN ('failed', 'abandoned', 'error')))
        )
        ARRAY JOIN if(is_start, [local_day, local_day + 1], [local_day - 1, local_day]) AS day
        WHERE (deployment, day) IN
              (SELECT deployment, local_day FROM day_marks WHERE deployment IN {deployments:Array(String)} AND local_day BETWEEN {from:Date} AND {to:Date} GROUP BY deployment, local_day HAVING {all_days:UInt8} = 1 OR (sum(marks) != max(folded) AND max(closed) = 0))
    ),
    -- One scan: the steps of a journey with an id come to its start, open or completed, and to completions that have no
    -- start; each step without an id stands for itself. (visitor, at, is_completion, is_done)
    open_steps AS
    (
        SELECT deployment, day, journey, step.1 AS visitor, step.2 AS at, step.3 AS is_completion, step.4 AS is_done
        FROM
        (
            SELECT
                deployment,
                day,
                journey,
                journey_id,
                countIf(is_start) > 0 AS is_known,
                is_known AND countIf(is_start AND local_day < day) = 0 AS begins,
                minIf(at, is_start) AS start_at,
                argMinIf(visitor, (at, visitor), is_start) AS start_visitor,
                countIf(NOT is_start) > 0 AND maxIf(at, NOT is_start) >= start_at AS is_completed,
                groupArrayIf((visitor, at), NOT is_start AND local_day = day) AS completions,
                groupArrayIf((visitor, at, toUInt8(NOT is_start), toUInt8(0)), journey_id = '' AND local_day = day) AS own
            FROM steps
            GROUP BY deployment, day, journey, journey_id
        )
        ARRAY JOIN if(
            journey_id = '',
            own,
            arrayConcat(
                if(begins, [(start_visitor, start_at, toUInt8(0), toUInt8(is_completed))], []),
                arrayMap(
                    completion -> (completion.1, completion.2, toUInt8(1), toUInt8(0)),
                    arrayFilter(completion -> NOT is_known OR completion.2 < start_at, completions)
                )
            )
        ) AS step
    ),
    matched AS
    (
        SELECT
            deployment,
            day,
            journey,
            countIf(is_completion = 0) AS started,
            countIf(is_done = 1) AS completed_by_id,
            arraySort(groupArrayIf((at, is_completion), is_done = 0 AND visitor != 0)) AS sequence,
            -- (open starts, joined completions, of them ambiguous)
            arrayFold(
                (state, step) -> if(
                    step.2 = 0,
                    (state.1 + 1, state.2, state.3),
                    if(state.1 > 0, (state.1 - 1, state.2 + 1, state.3 + toInt64(state.1 > 1)), state)
                ),
                sequence,
                (toInt64(0), toInt64(0), toInt64(0))
            ) AS joins
        FROM open_steps
        GROUP BY deployment, day, visitor, journey
    )
SELECT
    deployment,
    day AS local_day,
    journey,
    toUInt32(sum(started)) AS started,
    toUInt32(sum(completed_by_id + joins.2)) AS completed,
    toUInt32(sum(joins.2)) AS joined,
    toUInt32(sum(joins.3)) AS ambiguous
FROM matched
GROUP BY deployment, day, journey
HAVING started > 0;

-- What boards read: folds of clean days, events of every other day.
CREATE OR REPLACE VIEW counts AS
SELECT deployment, local_day, events, page_views, views_with_visitor, bot_events, corrected_events, rating_1, rating_2, rating_3, rating_4, rating_5 FROM fold_daily
WHERE (deployment, local_day, version) IN
      (SELECT deployment, local_day, max(version) FROM day_marks WHERE deployment IN {deployments:Array(String)} AND local_day BETWEEN {from:Date} AND {to:Date} GROUP BY deployment, local_day HAVING max(closed) OR sum(marks) = max(folded))
UNION ALL
SELECT deployment, local_day, events, page_views, views_with_visitor, bot_events, corrected_events, rating_1, rating_2, rating_3, rating_4, rating_5 FROM raw_counts(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, all_days = 0);

CREATE OR REPLACE VIEW visits AS
SELECT deployment, local_day, visitors, views_with_visitor, sessions, bounces, session_seconds FROM fold_daily
WHERE (deployment, local_day, version) IN
      (SELECT deployment, local_day, max(version) FROM day_marks WHERE deployment IN {deployments:Array(String)} AND local_day BETWEEN {from:Date} AND {to:Date} GROUP BY deployment, local_day HAVING max(closed) OR sum(marks) = max(folded))
UNION ALL
SELECT deployment, local_day, visitors, views_with_visitor, sessions, bounces, session_seconds FROM raw_visits(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, all_days = 0);

CREATE OR REPLACE VIEW page_loads AS
SELECT deployment, local_day, beacons_expected, beacons_received FROM fold_daily
WHERE (deployment, local_day, version) IN
      (SELECT deployment, local_day, max(version) FROM day_marks WHERE deployment IN {deployments:Array(String)} AND local_day BETWEEN {from:Date} AND {to:Date} GROUP BY deployment, local_day HAVING max(closed) OR sum(marks) = max(folded))
UNION ALL
SELECT deployment, local_day, beacons_expected, beacons_received FROM raw_page_loads(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, all_days = 0);

CREATE OR REPLACE VIEW dimensions AS
SELECT deployment, local_day, dimension, value, uses, visitors FROM fold_dimensions
WHERE dimension IN {dimensions:Array(String)} AND (deployment, local_day, version) IN
      (SELECT deployment, local_day, max(version) FROM day_marks WHERE deployment IN {deployments:Array(String)} AND local_day BETWEEN {from:Date} AND {to:Date} GROUP BY deployment, local_day HAVING max(closed) OR sum(marks) = max(folded))
UNION ALL
SELECT deployment, local_day, dimension, value, uses, visitors
FROM raw_values(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, all_days = 0)
WHERE dimension IN {dimensions:Array(String)};

CREATE OR REPLACE VIEW entries AS
SELECT deployment, local_day, value, uses, visitors FROM fold_dimensions
WHERE dimension = 'entry' AND (deployment, local_day, version) IN
      (SELECT deployment, local_day, max(version) FROM day_marks WHERE deployment IN {deployments:Array(String)} AND local_day BETWEEN {from:Date} AND {to:Date} GROUP BY deployment, local_day HAVING max(closed) OR sum(marks) = max(folded))
UNION ALL
SELECT deployment, local_day, value, uses, visitors FROM raw_entries(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, all_days = 0);

CREATE OR REPLACE VIEW journeys AS
SELECT deployment, local_day, journey, started, completed, joined, ambiguous FROM fold_journeys
WHERE (deployment, local_day, version) IN
      (SELECT deployment, local_day, max(version) FROM day_marks WHERE deployment IN {deployments:Array(String)} AND local_day BETWEEN {from:Date} AND {to:Date} GROUP BY deployment, local_day HAVING max(closed) OR sum(marks) = max(folded))
UNION ALL
SELECT * FROM raw_journeys(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date}, all_days = 0);
