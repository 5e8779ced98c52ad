-- scans::insert; unique (video_id, recipe_hash).
select id from scan where video_id = $1 and recipe_hash = $2
