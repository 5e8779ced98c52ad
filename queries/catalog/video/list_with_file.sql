-- videos::with_file; scans video.
select id from video where file_path is not null order by id
