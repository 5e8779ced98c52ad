-- tracks::insert.
insert into track (scan_id, video_id, shot, start_ms, end_ms, coverage, median_face_px, faces, reason)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
returning id
