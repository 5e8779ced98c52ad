-- samples::insert; primary key.
insert into crop (sample_id, side_px, jpeg) values ($1, $2, $3)
