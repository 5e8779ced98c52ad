-- pauses::lift; primary key.
delete from pause where stage = $1
