-- forget::redact; scans pause, which has a row a stage at most.
delete from pause where resume_at <= $1
