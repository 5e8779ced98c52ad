-- jobs::cut_again; unique (stage, subject_id), listed_of_video. Lists mean other parts of a video than when its cut was
-- asked for: whoever holds it loses it. A file that was discarded is fetched again.
update job set state = 'open', attempt = 0, due_at = $2, worker = null, reason = null, detail = null, finished_at = null
where subject_id = $1
  and exists (select 1 from listed where video_id = $1 and (start_ms is not null or face is not null))
  and ((stage = 'cut' and not (state = 'rejected' and reason = 'source-gone'))
    or (stage = 'fetch' and state = 'done'
      and exists (select 1 from job as cut where cut.stage = 'cut' and cut.subject_id = $1)
      and exists (select 1 from video where id = $1 and file_path is null and discarded_at is not null)))
