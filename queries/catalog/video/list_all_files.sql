-- videos::files; scans video and clip, for gc and check.
select file_path as "file_path!", sha256 as "sha256!" from video where file_path is not null and sha256 is not null
union all
select file_path, sha256 from clip
