-- forget::redact; primary key.
update attempt set detail = '' where id = $1
