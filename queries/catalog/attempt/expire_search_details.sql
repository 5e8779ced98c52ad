-- attempts::expire; jobs by unique (stage, subject_id), then attempt_of_job, once a day.
update attempt set detail = ''
where ended_at < $1 and detail <> '' and job_id in (select id from job where stage = 'search')
