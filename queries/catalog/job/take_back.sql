-- jobs::take_back; walks job_outcome. $1 is a JSON list of workers, $2 how often an attempt may be lost with its process
-- and not count. One that only waited for its turn never counts. The job comes before what was never begun.
update job set state = 'open', worker = null, waits = 0, due_at = created_at,
  attempt = attempt - case when waits > 0 or orphaned < $2 then 1 else 0 end,
  orphaned = orphaned + case when waits > 0 then 0 else 1 end
where stage in ('search', 'fetch', 'scan', 'cut') and state = 'held' and worker in (select value from json_each($1))
