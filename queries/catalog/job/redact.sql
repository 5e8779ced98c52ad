-- forget::redact; primary key.
update job set detail = null where id = $1
