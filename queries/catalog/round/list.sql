-- rounds::list; walks the primary key backwards.
select id, holder, started_at, ended_at, exit, summary from round order by id desc limit $1
