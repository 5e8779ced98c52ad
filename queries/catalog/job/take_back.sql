-- jobs::take_back; walks job_outcome. $1 is a JSON list of workers. The attempt counts, and the job comes before what
-- was never begun.
update job set state = 'open', worker = null, due_at = created_at
where stage in ('search', 'fetch', 'scan', 'cut') and state = 'held' and worker in (select value from json_each($1))
