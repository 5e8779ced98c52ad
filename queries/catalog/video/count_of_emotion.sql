-- videos::count_of_emotion; video_of_emotion alone.
select count(*) from video where emotion = $1
