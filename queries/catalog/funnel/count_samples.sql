-- funnel::emotions; scans sample, evidence_of_video for the emotions.
select video_emotion.emotion as "emotion!: String", count(*) as "samples!: i64"
from (select video_id from sample where reason is null) as sample
join video_emotion on video_emotion.video_id = sample.video_id
group by video_emotion.emotion
