-- runs::end; primary key.
update run set state = $2, summary = $3, finished_at = $4 where id = $1
