-- evidence::insert; primary key, evidence_of_video.
update video set emotion = (select emotion from video_emotion where video_id = $1) where id = $1
