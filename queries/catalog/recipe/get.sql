-- recipes::get; primary key.
select body from recipe where hash = $1
