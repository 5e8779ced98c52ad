-- forget::redact; jobs by unique (stage, subject_id), then attempt_of_job for each search.
select attempt.id, attempt.detail from job join attempt on attempt.job_id = job.id
where job.stage = 'search' and attempt.detail <> ''
