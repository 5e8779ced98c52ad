-- clips::of_video; clip_of_video.
select id, track_id, start_ms, end_ms, emotion, file_path, size_bytes, sha256, side_px, frames, framing, perceptual_hash,
  motion, duplicate_of, recipe_hash
from clip where video_id = $1 order by start_ms, id
