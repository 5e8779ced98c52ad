-- forget::runs_on; sample_of_video, run_sample_of_sample, then the run by primary key. Runs that have samples of a video
-- in their lists.
select distinct run.name as "name!"
from sample
join run_sample on run_sample.sample_id = sample.id
join run on run.id = run_sample.run_id
where sample.video_id = $1
order by run.name
