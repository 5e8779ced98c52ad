-- forget::files; primary key, then clip_of_video. Every file that goes with the video.
select file_path as "file_path!" from video where id = $1 and file_path is not null
union all
select file_path from clip where video_id = $1
