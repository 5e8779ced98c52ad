-- attempts::count; attempt_of_job.
select count(*) from attempt where job_id = $1 and reason = $2
