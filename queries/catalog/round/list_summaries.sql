-- forget::redact; walks the primary key, in batches of $2. What rounds that are over told.
select id, summary as "summary!" from round where summary is not null and id > $1 order by id limit $2
