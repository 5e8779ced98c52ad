-- funnel::rows; counts track, clip and sample.
select
  (select count(*) from track) as "tracks!: i64",
  (select count(*) from clip) as "clips!: i64",
  (select count(*) from sample) as "samples!: i64"
