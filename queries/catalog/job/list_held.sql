-- jobs::held; walks job_due.
select id, stage, subject_id, worker as "worker!", attempt, due_at as "due_at!"
from job where state = 'held' and due_at is not null and worker is not null order by stage, id
