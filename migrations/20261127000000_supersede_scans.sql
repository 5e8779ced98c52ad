-- A video that was looked at again with another recipe keeps what the earlier scan led to, for the runs that were trained
-- on it; it counts no more.
alter table scan add column superseded_at integer;
update scan set superseded_at = (
  select min(later.created_at) from scan as later where later.video_id = scan.video_id and later.id > scan.id);
create index scan_superseded on scan (id) where superseded_at is not null;
drop index sample_of_video;
create index sample_of_video on sample (video_id, reason, clip_id);
-- The tracks and clips of those scans; `cross join` keeps the order, for they are few.
create view superseded_track as
  select track.id from scan cross join track on track.scan_id = scan.id where scan.superseded_at is not null;
create view superseded_clip as
  select clip.id from superseded_track cross join clip on clip.track_id = superseded_track.id;
