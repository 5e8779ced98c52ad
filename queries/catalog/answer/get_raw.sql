-- answers::raw; primary key.
select raw from answer where id = $1
