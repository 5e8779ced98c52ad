-- crops::get_with_style; primary key.
select jpeg, side_px, margin from crop where sample_id = $1
