-- check::files; scans video and clip; superseded_clip once.
select 'video' as "what!: String", id as "video_id!", file_path as "file_path!", size_bytes as "size_bytes!", sha256 as "sha256!",
  0 as "is_superseded!: bool"
from video where file_path is not null and size_bytes is not null and sha256 is not null
union all
select 'clip', video_id, file_path, size_bytes, sha256, id in superseded_clip from clip
order by 3
