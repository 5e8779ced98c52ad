-- clips::insert.
insert into clip (track_id, video_id, start_ms, end_ms, emotion, file_path, size_bytes, sha256, side_px, frames, framing,
  perceptual_hash, motion, recipe_hash, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
returning id
