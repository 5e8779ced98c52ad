-- scans::insert; unique (video_id, recipe_hash). Doing a scan again replaces it and all that came of it.
delete from scan where video_id = $1 and recipe_hash = $2
