-- funnel::emotions; scans clip, evidence_of_video for the emotions.
select video_emotion.emotion as "emotion!: String", count(*) as "clips!: i64"
from (select video_id from clip where duplicate_of is null) as clip
join video_emotion on video_emotion.video_id = clip.video_id
group by video_emotion.emotion
