-- local_files::of_video; local_file_of_video.
select path from local_file where video_id = $1 order by path
