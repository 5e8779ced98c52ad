-- rounds::ended; job_finished. Jobs that came to their end from $1 until before $2.
select stage, state, reason, count(*) as "jobs!: i64"
from job where finished_at is not null and finished_at >= $1 and finished_at < $2
group by stage, state, reason order by stage, state, count(*) desc, reason
