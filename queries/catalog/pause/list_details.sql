-- forget::redact; scans pause, which has a row a stage at most.
select stage, detail from pause
