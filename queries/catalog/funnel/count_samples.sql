-- funnel::emotions; sample_of_video alone, then video by primary key; superseded_clip once. Samples of clips with an
-- emotion of their own by clip_of_emotion, then unique (clip_id, t_ms).
select emotion as "emotion!: String", sum(counted.samples) as "samples!: i64"
from (
  select video.emotion, sum(of_video.samples) as samples
  from (
    select video_id, count(*) as samples from sample
    where reason is null and clip_id not in superseded_clip
      and clip_id not in (select id from clip where emotion is not null)
    group by video_id
  ) as of_video
  join video on video.id = of_video.video_id
  where video.emotion is not null
  group by video.emotion
  union all
  select clip.emotion, count(*)
  from clip join sample on sample.clip_id = clip.id
  where clip.emotion is not null and sample.reason is null and clip.id not in superseded_clip
  group by clip.emotion
) as counted
group by emotion
