-- splits::assign; walks sample_of_video, then video_of_source.
select distinct video.source as "source!"
from video
where exists (select 1 from sample where sample.video_id = video.id)
  and not exists (select 1 from split where split.source = video.source)
