-- crops::get; primary key.
select jpeg from crop where sample_id = $1
