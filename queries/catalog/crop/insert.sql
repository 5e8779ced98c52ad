-- crops::insert; primary key.
insert into crop (sample_id, side_px, margin, jpeg) values ($1, $2, $3, $4)
