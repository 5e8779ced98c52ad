-- crops::made_otherwise; walks crop_made, then sample and video by primary key.
select video.id as "id!", count(*) as "samples!: i64", video.file_path is not null as "has_file!: bool"
from crop
join sample on sample.id = crop.sample_id
join video on video.id = sample.video_id
where crop.side_px <> $1 or crop.margin <> $2
group by video.id order by video.id
