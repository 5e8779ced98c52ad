-- clips::without_motion; scans clip once for those of earlier releases: what is missing is filled in.
-- track and scan by primary key.
select clip.id, clip.start_ms, clip.end_ms, track.faces, scan.width, scan.height
from clip
join track on track.id = clip.track_id
join scan on scan.id = track.scan_id
where clip.motion is null order by clip.id limit $1
