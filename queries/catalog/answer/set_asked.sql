-- answers::set_asked; primary key.
update answer set asking = $2, wanted = $3 where id = $1
