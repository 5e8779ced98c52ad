-- jobs::take_back; walks job_outcome. $1 is a JSON list of workers. The attempt counts, unless its holder only waited
-- for its turn, and the job comes before what was never begun.
update job set state = 'open', worker = null, attempt = attempt - waits, waits = 0, due_at = created_at
where stage in ('search', 'fetch', 'scan', 'cut') and state = 'held' and worker in (select value from json_each($1))
