-- answers::set_broke_off; primary key.
update answer set broke_off = $2 where id = $1
