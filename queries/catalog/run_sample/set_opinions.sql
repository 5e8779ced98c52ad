-- runs::set_opinions; primary key. $2 is a JSON list of [position, importance, predicted, p_predicted, p_given]. An
-- insert that always conflicts, since an update would search the list anew for every row of the run.
insert into run_sample (run_id, position, sample_id, split, label, importance, predicted, p_predicted, p_given)
select $1, run_sample.position, sample_id, split, label, value ->> 1, value ->> 2, value ->> 3, value ->> 4
from json_each($2) cross join run_sample on run_sample.run_id = $1 and run_sample.position = value ->> 0
where true
on conflict (run_id, position) do update set importance = excluded.importance, predicted = excluded.predicted,
  p_predicted = excluded.p_predicted, p_given = excluded.p_given
