-- runs::create. $2 is a JSON list of [sample, split, label, clean label, source]; a sample's place in it is its
-- position.
insert into run_sample (run_id, position, sample_id, split, label, clean_label, source)
select $1, key, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each($2)
