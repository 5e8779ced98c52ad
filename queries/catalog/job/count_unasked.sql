-- jobs::count_unasked; scans video, then job by unique (stage, subject_id). Files that nobody looked at with recipe $1.
select count(*) from video
where file_path is not null
  and not exists (select 1 from job where stage = 'scan' and subject_id = video.id and rev = $1)
