-- crops::replace; primary key. Touches nothing when the sample is gone.
update crop set side_px = $2, margin = $3, jpeg = $4 where sample_id = $1
