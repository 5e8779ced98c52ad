-- pauses::begin; primary key. Of two pauses the longer one holds; one without an end is the longest.
insert into pause (stage, reason, detail, since, resume_at) values ($1, $2, $3, $4, $5)
on conflict (stage) do update set reason = excluded.reason, detail = excluded.detail, since = excluded.since,
  resume_at = excluded.resume_at
where pause.resume_at is not null and (excluded.resume_at is null or excluded.resume_at > pause.resume_at)
