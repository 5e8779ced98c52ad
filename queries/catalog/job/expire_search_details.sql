-- attempts::expire; job_outcome, then attempt_of_job, once a day. The words about the last attempt at a search.
update job set detail = null
where stage = 'search' and detail is not null and coalesce(finished_at, 0) < $1
  and not exists (select 1 from attempt where attempt.job_id = job.id and attempt.ended_at >= $1)
