-- funnel::outcomes; walks video_of_emotion, then job by unique (stage, subject_id).
select video.emotion as "emotion!", job.stage, job.state, job.reason, count(*) as jobs
from video join job on job.subject_id = video.id and job.stage in ('fetch', 'scan', 'cut')
where video.emotion is not null
group by video.emotion, job.stage, job.state, job.reason
order by 1, 2, 3, 4
