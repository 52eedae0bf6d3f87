-- Sum of the ratings, and how many there are.
SELECT deployment, toString(local_day) AS day, rating_1 + 2 * rating_2 + 3 * rating_3 + 4 * rating_4 + 5 * rating_5 AS numerator, rating_1 + rating_2 + rating_3 + rating_4 + rating_5 AS denominator
FROM counts(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
