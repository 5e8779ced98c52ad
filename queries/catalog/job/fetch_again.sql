-- jobs::fetch_again; job_outcome twice, for downloads and scans, then video by primary key and cuts by unique (stage,
-- subject_id). Files that were discarded and are needed after all: their scan or cut did not end with revision $1.
update job set state = 'open', attempt = 0, due_at = $2, worker = null, reason = null, detail = null, finished_at = null
where stage = 'fetch' and state = 'done' and subject_id in (
  select video.id from video
  join job as look on look.stage = 'scan' and look.subject_id = video.id
  where video.file_path is null and video.discarded_at is not null
    and (look.rev <> $1 or look.state <> 'done'
      or exists (select 1 from job as cut where cut.stage = 'cut' and cut.subject_id = video.id
        and cut.reason = 'source-gone'))
)
