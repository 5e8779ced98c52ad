-- check::files; scans video and clip.
select 'video' as "what!: String", id as "video_id!", file_path as "file_path!", size_bytes as "size_bytes!", sha256 as "sha256!"
from video where file_path is not null and size_bytes is not null and sha256 is not null
union all
select 'clip', video_id, file_path, size_bytes, sha256 from clip
order by 3
