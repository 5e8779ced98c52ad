-- attempts::of_job; attempt_of_job.
select attempt, worker, kind, reason, detail, ended_at from attempt where job_id = $1 order by id
