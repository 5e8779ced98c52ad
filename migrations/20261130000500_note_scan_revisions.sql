-- The revision of the stage that a scan was made with, as in job.rev: where settings return to those of an earlier scan of
-- that very revision, it is in force again with its clips, samples and labels, and the video is not scanned again. Null
-- where it is not known, as of scans that earlier releases superseded.
alter table scan add column rev text;
update scan set rev = (
  select job.rev from job
  where job.stage = 'scan' and job.subject_id = scan.video_id and job.state = 'done'
    and job.rev like '%-' || scan.recipe_hash)
where superseded_at is null;
