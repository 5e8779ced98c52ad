-- samples::newest; scans sample for new ones, the video by primary key. At most $2 of each emotion.
select id as "id!", emotion as "emotion!: String"
from (
  select sample.id, video.emotion,
    row_number() over (partition by video.emotion order by sample.clip_id desc, sample.t_ms) as place
  from sample join video on video.id = sample.video_id
  where sample.reason is null and sample.created_at >= $1 and video.emotion is not null
)
where place <= $2 order by id
