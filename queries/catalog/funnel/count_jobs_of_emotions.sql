-- funnel::outcomes; evidence_of_video for the emotions, then job by unique (stage, subject_id).
select video_emotion.emotion as "emotion!: String", job.stage, job.state, job.reason, count(*) as "jobs!: i64"
from job join video_emotion on video_emotion.video_id = job.subject_id
where job.stage in ('fetch', 'scan', 'cut')
group by video_emotion.emotion, job.stage, job.state, job.reason
order by 1, 2, 3, 4
