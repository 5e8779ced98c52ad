-- jobs::enqueue_rejected; unique (stage, subject_id). The subject is a video. Work that is done stays done; what waits to
-- be begun is rejected whatever its rev, but not what a list named, nor a file that was there and is wanted again.
insert into job (stage, subject_id, rev, state, reason, detail, created_at, finished_at)
values ($1, $2, $3, 'rejected', $4, $5, $6, $6)
on conflict (stage, subject_id) do update set rev = excluded.rev, state = 'rejected', due_at = null, worker = null,
  reason = excluded.reason, detail = excluded.detail, finished_at = excluded.finished_at
where (job.state = 'open'
    and not exists (select 1 from listed where listed.video_id = job.subject_id)
    and not exists (select 1 from video where video.id = job.subject_id and fetched_at is not null))
  or (job.rev <> excluded.rev and job.state <> 'done')
