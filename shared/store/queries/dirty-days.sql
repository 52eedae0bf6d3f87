-- Days with marks that their fold has not seen, with as many marks as there are now. A closed day keeps its fold.
SELECT deployment, toString(day) AS local_day, toString(all_marks) AS marks
FROM (SELECT deployment, local_day AS day, sum(marks) AS all_marks, max(folded) AS seen, max(closed) AS is_closed FROM day_marks GROUP BY deployment, day)
WHERE all_marks != seen AND NOT is_closed
