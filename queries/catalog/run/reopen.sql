-- runs::reopen; primary key.
update run set state = 'open', finished_at = null where id = $1
