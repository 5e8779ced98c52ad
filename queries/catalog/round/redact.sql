-- forget::redact; primary key.
update round set summary = $2 where id = $1
