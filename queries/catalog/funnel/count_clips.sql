-- funnel::emotions; video_fetched, then clip_of_video for each; superseded_track once. Clips with an emotion of their own
-- by clip_of_emotion. A copy counts where its samples do, by unique (clip_id, t_ms).
select emotion as "emotion!: String", sum(counted.clips) as "clips!: i64"
from (
  select video.emotion, count(*) as clips
  from clip join video on video.id = clip.video_id
  where clip.emotion is null and video.emotion is not null and clip.track_id not in superseded_track
    and (duplicate_of is null or exists (select 1 from sample where clip_id = clip.id and reason is null))
  group by video.emotion
  union all
  select emotion, count(*)
  from clip
  where emotion is not null and track_id not in superseded_track
    and (duplicate_of is null or exists (select 1 from sample where clip_id = clip.id and reason is null))
  group by emotion
) as counted
group by emotion
