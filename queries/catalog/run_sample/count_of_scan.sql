-- runs::losses_of_scan; track_of_scan, clip and sample by their unique keys, then run_sample_of_sample and
-- relabel_of_sample.
with lost as (
  select sample.id
  from track
  join clip on clip.track_id = track.id
  join sample on sample.clip_id = clip.id
  where track.scan_id = $1
)
select
  (select count(*) from lost where exists (select 1 from run_sample where run_sample.sample_id = lost.id)) as "listed!: i64",
  (
    select count(*) from lost
    where exists (
      select 1 from relabel join run on run.id = relabel.run_id
      where relabel.sample_id = lost.id and run.adopted_at is not null
    )
  ) as "adopted!: i64"
