-- funnel::emotions; sample_of_video alone, then video by primary key; superseded_clip once.
select video.emotion as "emotion!", sum(counted.samples) as "samples!: i64"
from (
  select video_id, count(*) as samples from sample
  where reason is null and clip_id not in superseded_clip
  group by video_id
) as counted
join video on video.id = counted.video_id
where video.emotion is not null
group by video.emotion
