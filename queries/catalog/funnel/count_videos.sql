-- funnel::emotions; evidence_of_video for the emotions, video by primary key.
select video_emotion.emotion as "emotion!: String", count(*) as "videos!: i64",
  count(video.file_path) as "files!: i64"
from video_emotion join video on video.id = video_emotion.video_id
group by video_emotion.emotion
