-- scans::latest; unique (video_id, recipe_hash). The one in force.
select id, recipe_hash, width, height, duration_ms, shots, frames_decoded, frames_detected, elapsed_ms
from scan where video_id = $1 order by superseded_at is null desc, id desc limit 1
