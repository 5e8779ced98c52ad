-- samples::insert.
insert into sample (clip_id, video_id, t_ms, face, sharpness, brightness, contrast, face_px, yaw_deg, pitch_deg,
  roll_deg, reason, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
returning id
