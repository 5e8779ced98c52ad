-- local_files::list; scans local_file, then video by primary key.
select local_file.path, local_file.size_bytes, local_file.modified_ms, video.site_id as sha256
from local_file join video on video.id = local_file.video_id
