-- samples::of_clip; unique (clip_id, t_ms).
select id, t_ms, face, sharpness, brightness, contrast, face_px, yaw_deg, pitch_deg, roll_deg, reason
from sample where clip_id = $1 order by t_ms
