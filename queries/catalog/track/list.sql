-- tracks::of_scan; track_of_scan.
select id, shot, start_ms, end_ms, coverage, median_face_px, faces, reason
from track where scan_id = $1 order by start_ms, id
