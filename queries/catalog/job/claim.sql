-- jobs::claim; job_due. The most urgent job that is due, unless its stage is paused. An expired lease is due; if its
-- holder only waited for its turn, that was no attempt. With $6 only jobs of this emotion (the search's, else the
-- video's), with $7 only jobs on videos of this list, with $8 only jobs on videos of this site, with $9 of the searches
-- only this lexicon's, with $10 only those asked for with this revision.
update job set state = 'held', worker = $3, rev = $4, due_at = $5, waits = 0,
  attempt = attempt + 1 - (state = 'held' and waits)
where id = (
  select id from job
  where stage = $1 and due_at is not null and due_at <= $2
    and not exists (select 1 from pause where pause.stage = $1 and (resume_at is null or resume_at > $2))
    and ($6 is null or $6 = case stage
      when 'search' then (select emotion from search where search.id = job.subject_id)
      else (select emotion from video where video.id = job.subject_id) end)
    and ($7 is null
      or exists (select 1 from listed where listed.video_id = job.subject_id and listed.list = $7))
    and ($8 is null or exists (select 1 from video where video.id = job.subject_id and video.site = $8))
    and ($9 is null or stage <> 'search'
      or exists (select 1 from search where search.id = job.subject_id and search.lexicon = $9))
    and ($10 is null or stage <> 'search' or rev = $10)
  order by priority, due_at, id limit 1
)
returning id, subject_id, attempt
