-- funnel::emotions; video_of_emotion alone.
select emotion as "emotion!", count(*) as videos, count(file_path) as files
from video where emotion is not null group by emotion
