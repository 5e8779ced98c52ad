-- forget::video; evidence_of_video, then primary key. The raw answers name what is to be forgotten.
update answer set raw = null where id in (select answer_id from evidence where video_id = $1)
