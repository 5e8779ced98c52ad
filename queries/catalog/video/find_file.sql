-- videos::find_file; scans video_of_emotion, for a person who names a file.
select id from video where file_path = $1
