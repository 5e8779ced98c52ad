-- videos::find_file; scans video, for a person who names a file.
select id from video where file_path = $1
