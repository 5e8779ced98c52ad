-- answers::empty; primary key. $1 is a JSON list of pages.
update answer set raw = null, broke_off = iif(broke_off is null, null, '')
where id in (select value from json_each($1))
