-- videos::set_file; primary key.
update video set file_path = $2, size_bytes = $3, sha256 = $4, container = $5, video_codec = $6, width = $7,
  height = $8, duration_ms = $9, frame_rate = $10, fetched_at = $11, discarded_at = null
where id = $1
