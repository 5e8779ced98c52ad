-- videos::count_of_emotion; video_fetched, then job_ended_fetch, which the planner takes only when told to.
select count(*) from video
where emotion = $1 and not exists (
  select 1 from job indexed by job_ended_fetch
  where job.stage = 'fetch' and job.subject_id = video.id and job.state in ('rejected', 'dead'))
