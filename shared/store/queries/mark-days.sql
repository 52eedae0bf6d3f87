-- Marks every day of the range that has rows or a fold, and the days beside them, whose journeys may reach into it: their
-- folds are no longer current.
INSERT INTO day_marks (deployment, local_day, marks)
SELECT deployment, local_day, 1 FROM
(
    SELECT DISTINCT deployment, local_day FROM day_marks
    WHERE deployment = {deployment:String} AND local_day BETWEEN toDate32({from:Date}) - 1 AND toDate32({to:Date}) + 1
)
