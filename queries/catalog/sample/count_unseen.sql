-- samples::count_unseen; sample, then clip, track and the runs' lists by primary key and run_sample_of_sample. Samples
-- in use of their videos' latest scans that no run of $1's method that came to its end has had in its list; one whose
-- labels were made wrong on purpose does not count.
select count(*) from sample
join clip on clip.id = sample.clip_id
join track on track.id = clip.track_id
join scan on scan.id = track.scan_id and scan.superseded_at is null
where sample.reason is null
  and not exists (
    select 1 from run_sample join run on run.id = run_sample.run_id
    where run_sample.sample_id = sample.id and run.method = $1 and run.state = 'done' and run.noise is null
  )
