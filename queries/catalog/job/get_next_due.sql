-- jobs::next_due_ms; job_outcome.
select min(due_at) as "due_at: i64" from job where stage = $1 and state in ('open', 'held')
