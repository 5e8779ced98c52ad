-- tracks::set_reason; primary key.
update track set reason = $2 where id = $1 and reason is not $2
