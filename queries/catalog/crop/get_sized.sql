-- crops::get_sized; primary key.
select jpeg, side_px from crop where sample_id = $1
