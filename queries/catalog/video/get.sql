-- videos::get; primary key.
select id, site, site_id, url, title, channel_id, channel_name, source, promised_duration_ms, licence,
  file_path, size_bytes, sha256, container, video_codec, width, height, duration_ms, frame_rate
from video where id = $1
