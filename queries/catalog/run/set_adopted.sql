-- runs::set_adopted; primary key.
update run set adopted_at = $2 where id = $1
