-- Ratings of 4 and 5, of all ratings.
SELECT deployment, toString(local_day) AS day, rating_4 + rating_5 AS numerator, rating_1 + rating_2 + rating_3 + rating_4 + rating_5 AS denominator
FROM counts(deployments = {deployments:Array(String)}, from = {from:Date}, to = {to:Date})
