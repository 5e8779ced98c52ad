-- scans::supersede; unique (video_id, recipe_hash).
update scan set superseded_at = $2 where video_id = $1 and superseded_at is null
