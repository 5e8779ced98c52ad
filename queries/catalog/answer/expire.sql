-- answers::expire; scans answer, once a day.
update answer set raw = null where asked_at < $1 and raw is not null
