-- jobs::count_due_of; job_due. $3 to $7 as $6 to $10 in claim.sql.
select count(*) from job
where stage = $1 and due_at is not null and due_at <= $2
  and ($3 is null or $3 = case stage
    when 'search' then (select emotion from search where search.id = job.subject_id)
    else (select emotion from video where video.id = job.subject_id) end)
  and ($4 is null
    or exists (select 1 from listed where listed.video_id = job.subject_id and listed.list = $4))
  and ($5 is null or exists (select 1 from video where video.id = job.subject_id and video.site = $5))
  and ($6 is null or stage <> 'search'
    or exists (select 1 from search where search.id = job.subject_id and search.lexicon = $6))
  and ($7 is null or stage <> 'search' or rev = $7)
