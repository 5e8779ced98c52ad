-- check::without_crop; sample_of_video, then crop by primary key; superseded_clip once. Videos with a sample whose picture is gone.
select distinct video_id, clip_id in superseded_clip as "is_superseded!: bool"
from sample where not exists (select 1 from crop where crop.sample_id = sample.id)
