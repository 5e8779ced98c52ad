-- splits::assign; clip_duplicate, then clip and video by primary key. Sources that share footage.
select distinct copy_video.source as "one!", first_video.source as "other!"
from clip as copy
join clip as first on first.id = copy.duplicate_of
join video as copy_video on copy_video.id = copy.video_id
join video as first_video on first_video.id = first.video_id
where copy.duplicate_of is not null and copy_video.source <> first_video.source
order by 1, 2
