-- forget::same_footage; clip_of_video, then the primary key and clip_duplicate, then video by primary key.
select distinct other.site, other.site_id
from clip as own
join clip as alike
  on alike.id = own.duplicate_of or alike.duplicate_of = own.id or alike.duplicate_of = own.duplicate_of
join video as other on other.id = alike.video_id
where own.video_id = $1 and alike.video_id <> $1
order by 1, 2
