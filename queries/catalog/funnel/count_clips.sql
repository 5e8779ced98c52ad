-- funnel::emotions; scans clip, video by primary key.
select video.emotion as "emotion!", count(*) as clips
from clip join video on video.id = clip.video_id
where clip.duplicate_of is null and video.emotion is not null
group by video.emotion
