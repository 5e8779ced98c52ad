-- clips::set_motion; primary key.
update clip set motion = $2 where id = $1
