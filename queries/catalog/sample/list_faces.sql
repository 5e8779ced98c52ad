-- samples::faces_of_video; sample_of_video. Of every scan of the video.
select id, t_ms, face from sample where video_id = $1 order by t_ms, id
