-- jobs::count_unasked; scans video_of_emotion, then job by unique (stage, subject_id). Files for which no scan with
-- revision $1 was asked.
select count(*) from video
where file_path is not null
  and not exists (select 1 from job where stage = 'scan' and subject_id = video.id and rev = $1)
