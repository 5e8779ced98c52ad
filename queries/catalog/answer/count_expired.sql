-- answers::count_expired; scans answer. What answer/expire.sql would empty.
select count(*) from answer where asked_at < $1 and (raw is not null or broke_off <> '')
