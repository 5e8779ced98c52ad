-- check::without_crop; sample, then crop by primary key. Videos with a sample whose picture is gone.
select distinct video_id from sample where not exists (select 1 from crop where crop.sample_id = sample.id)
