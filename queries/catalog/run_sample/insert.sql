-- runs::create. $2 is a JSON list of [sample, split, label]; a sample's place in it is its position.
insert into run_sample (run_id, position, sample_id, split, label)
select $1, key, value ->> 0, value ->> 1, value ->> 2 from json_each($2)
