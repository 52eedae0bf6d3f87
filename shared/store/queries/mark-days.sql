-- Marks every day of the range that has rows or a fold: its fold is no longer current.
INSERT INTO day_marks (deployment, local_day, marks)
SELECT deployment, local_day, 1 FROM
(
    SELECT DISTINCT deployment, local_day FROM day_marks
    WHERE deployment = {deployment:String} AND local_day BETWEEN {from:Date} AND {to:Date}
)
