-- acceptances::insert.
insert into acceptance (terms, version, accepted_at) values ($1, $2, $3)
