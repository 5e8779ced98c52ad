-- jobs::enqueue_rejected; unique (stage, subject_id). Work that is done stays done.
insert into job (stage, subject_id, rev, state, reason, detail, created_at, finished_at)
values ($1, $2, $3, 'rejected', $4, $5, $6, $6)
on conflict (stage, subject_id) do update set rev = excluded.rev, state = 'rejected', due_at = null, worker = null,
  reason = excluded.reason, detail = excluded.detail, finished_at = excluded.finished_at
where job.rev <> excluded.rev and job.state <> 'done'
