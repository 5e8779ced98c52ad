-- videos::count_left_behind; scans video, then job by unique (stage, subject_id). Videos whose file was discarded before
-- anyone looked at it with revision $1.
select count(*) from video
where file_path is null and discarded_at is not null
  and exists (select 1 from job where stage = 'scan' and subject_id = video.id and rev <> $1)
