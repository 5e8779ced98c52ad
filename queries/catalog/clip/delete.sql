-- clips::delete_of_track; unique (track_id, start_ms). Cutting a track again replaces its clips.
delete from clip where track_id = $1 returning file_path
