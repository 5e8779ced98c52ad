-- splits::assign; walks video_of_source, then sample_of_video and the primary key.
select distinct video.source as "source!"
from video
where exists (select 1 from sample where sample.video_id = video.id)
  and not exists (select 1 from split where split.source = video.source)
