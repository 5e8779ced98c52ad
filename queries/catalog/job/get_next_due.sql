-- jobs::next_due_ms; job_outcome. $2 to $6 as $6 to $10 in claim.sql. What is held under a lease that runs at $7 is
-- somebody's work already.
select min(due_at) as "due_at: i64" from job
where stage = $1 and state in ('open', 'held') and (state = 'open' or due_at <= $7)
  and ($2 is null or $2 = case stage
    when 'search' then (select emotion from search where search.id = job.subject_id)
    else (select emotion from video where video.id = job.subject_id) end)
  and ($3 is null
    or exists (select 1 from listed where listed.video_id = job.subject_id and listed.list = $3))
  and ($4 is null or exists (select 1 from video where video.id = job.subject_id and video.site = $4))
  and ($5 is null or stage <> 'search'
    or exists (select 1 from search where search.id = job.subject_id and search.lexicon = $5))
  and ($6 is null or stage <> 'search' or rev = $6)
