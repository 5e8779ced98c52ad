-- samples::newest; scans sample for new ones, clip and video by primary key. At most $2 of each emotion, of as many clips
-- as there are: each clip's first sample comes before any clip's second.
select id as "id!", emotion as "emotion!: String"
from (
  select id, emotion, row_number() over (partition by emotion order by place_in_clip, clip_id desc) as place
  from (
    select sample.id, sample.clip_id, coalesce(clip.emotion, video.emotion) as emotion,
      row_number() over (partition by sample.clip_id order by sample.t_ms) as place_in_clip
    from sample
    join clip on clip.id = sample.clip_id
    join video on video.id = sample.video_id
    where sample.reason is null and sample.created_at >= $1 and coalesce(clip.emotion, video.emotion) is not null
  )
)
where place <= $2 order by id
