-- answers::expire; scans answer, once a day.
update answer set raw = null, broke_off = iif(broke_off is null, null, '')
where asked_at < $1 and (raw is not null or broke_off <> '')
