-- jobs::record_merged_end; unique (stage, subject_id). Writes down how a job ended elsewhere; one that is done here stays done.
insert into job (stage, subject_id, rev, state, attempt, reason, detail, created_at, finished_at)
values ($1, $2, $3, $4, 1, $5, $6, $7, $7)
on conflict (stage, subject_id) do update set
  rev = excluded.rev, state = excluded.state, reason = excluded.reason, detail = excluded.detail,
  due_at = null, worker = null, finished_at = excluded.finished_at
where job.state <> 'done' or job.rev <> excluded.rev
