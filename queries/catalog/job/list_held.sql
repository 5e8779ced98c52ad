-- jobs::held; job_outcome, so that the many that are due are not walked.
select id, stage, subject_id, worker as "worker!", attempt, due_at as "due_at!"
from job
where stage in ('search', 'fetch', 'scan', 'cut') and state = 'held' and due_at is not null and worker is not null
order by stage, id
