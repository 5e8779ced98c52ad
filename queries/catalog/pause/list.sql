-- pauses::in_force; scans pause, which has a row a stage at most.
select stage, reason, detail, since, resume_at from pause
where resume_at is null or resume_at > $1 order by stage
