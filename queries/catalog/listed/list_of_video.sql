-- listed::of_video; listed_of_video. In an order that is the same in every catalog.
select list, line, emotion, start_ms, end_ms, face, sha256
from listed where video_id = $1 order by list, line
