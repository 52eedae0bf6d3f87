-- Its rows are gone; what was counted stays.
INSERT INTO removals SELECT * REPLACE (true AS done) FROM removals FINAL WHERE removal = {removal:String}
