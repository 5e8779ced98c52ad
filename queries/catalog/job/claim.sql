-- jobs::claim; job_due. The most urgent job that is due, unless its stage is paused. An expired lease is due.
update job set state = 'held', worker = $3, rev = $4, attempt = attempt + 1, due_at = $5
where id = (
  select id from job
  where stage = $1 and due_at is not null and due_at <= $2
    and not exists (select 1 from pause where pause.stage = $1 and (resume_at is null or resume_at > $2))
  order by priority, due_at, id limit 1
)
returning id, subject_id, attempt
