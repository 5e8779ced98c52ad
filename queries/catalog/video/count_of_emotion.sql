-- videos::count_of_emotion; video_of_emotion, then the job by unique (stage, subject_id).
select count(*) from video
where emotion = $1 and not exists (
  select 1 from job
  where job.stage = 'fetch' and job.subject_id = video.id and job.state in ('rejected', 'dead'))
