-- scans::of_rev; walks the scan jobs of job_outcome, then scan by unique (video_id, recipe_hash), its tracks by
-- track_of_scan and their clips by unique (track_id, start_ms). Only of videos whose last scan was asked for with another
-- revision, or with this one while another scan is in force. Where lists name parts of a video, other parts may have been
-- named by then.
select scan.id as "id!: i64", scan.video_id as "video_id!: i64"
from job join scan on scan.video_id = job.subject_id and scan.recipe_hash = $1
where job.stage = 'scan' and (job.rev <> $2 or scan.superseded_at is not null) and scan.rev = $2
  and exists (select 1 from track join clip on clip.track_id = track.id where track.scan_id = scan.id)
  and not exists (
    select 1 from listed
    where listed.video_id = scan.video_id and (listed.start_ms is not null or listed.face is not null)
  )
limit $3
