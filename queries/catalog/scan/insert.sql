-- scans::insert.
insert into scan (video_id, recipe_hash, rev, width, height, duration_ms, shots, frames_decoded, frames_detected,
  elapsed_ms, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
returning id
