-- rounds::postponed; attempt_ended, then the job by primary key. Jobs that failed from $1 until before $2, were postponed
-- for it, and are not ended. One that a pause released has no such reason.
select job.stage, attempt.reason, count(distinct job.id) as "jobs!: i64"
from attempt join job on job.id = attempt.job_id
where attempt.ended_at >= $1 and attempt.ended_at < $2 and job.finished_at is null and job.reason = attempt.reason
group by job.stage, attempt.reason order by count(distinct job.id) desc, job.stage, attempt.reason
