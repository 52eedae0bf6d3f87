-- Days with marks that their fold has not seen, with as many marks as there are now.
SELECT deployment, toString(local_day) AS local_day, toString(marked.marks) AS marks
FROM (SELECT deployment, local_day, sum(marks) AS marks FROM day_marks GROUP BY deployment, local_day) AS marked
LEFT JOIN (SELECT deployment, local_day, marks FROM fold_days FINAL) AS folded USING (deployment, local_day)
WHERE marked.marks != folded.marks
