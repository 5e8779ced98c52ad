-- rounds::begin.
insert into round (holder, started_at) values ($1, $2) returning id
