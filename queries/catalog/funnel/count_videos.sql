-- funnel::emotions; video_fetched alone. A file that was discarded has been here.
select emotion as "emotion!", count(*) as videos, count(fetched_at) as files
from video where emotion is not null group by emotion
