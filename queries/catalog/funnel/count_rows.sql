-- funnel::rows; counts track, clip and sample, less those of superseded scans.
select
  (select count(*) from track) - (select count(*) from superseded_track) as "tracks!: i64",
  (select count(*) from clip) - (select count(*) from superseded_clip) as "clips!: i64",
  (select count(*) from sample) - (
    select count(*) from superseded_clip join sample on sample.clip_id = superseded_clip.id) as "samples!: i64"
