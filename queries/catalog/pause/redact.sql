-- forget::redact; primary key.
update pause set detail = '' where stage = $1
