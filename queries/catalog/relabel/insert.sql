-- relabels::insert; unique (run_id, epoch, sample_id), run_sample by primary key. $2 is a JSON list of
-- [position, epoch, from, to, p_max, p_given, importance]; a resumed run says some again. Cross: the list leads.
insert into relabel (run_id, epoch, sample_id, from_label, to_label, p_max, p_given, importance, created_at)
select $1, value ->> 1, run_sample.sample_id, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, $3
from json_each($2) cross join run_sample on run_sample.run_id = $1 and run_sample.position = value ->> 0
where true
on conflict (run_id, epoch, sample_id) do nothing
