-- jobs::enqueue_all; unique (stage, subject_id). $4 is a JSON list of subjects. A new rev makes finished work new,
-- and takes work in hand away from whoever holds it.
insert into job (stage, rev, priority, state, subject_id, due_at, created_at)
select $1, $2, $3, 'open', value, $5, $5 from json_each($4) where true
on conflict (stage, subject_id) do update set rev = excluded.rev, priority = excluded.priority, state = 'open',
  attempt = 0, due_at = excluded.due_at, worker = null, reason = null, detail = null, finished_at = null
where job.rev <> excluded.rev
