-- funnel::emotions; video_fetched, then clip_of_video for each; superseded_track once.
select video.emotion as "emotion!", count(*) as clips
from clip join video on video.id = clip.video_id
where clip.duplicate_of is null and video.emotion is not null and clip.track_id not in superseded_track
group by video.emotion
