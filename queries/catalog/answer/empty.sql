-- answers::empty; primary key. $1 is a JSON list of pages.
update answer set raw = null where id in (select value from json_each($1))
