-- A list may mean a part of a video and give it a label: the clip then has an emotion of its own. Null where it has its
-- video's.
alter table clip add column emotion text;
-- They are few beside the others; counts by emotion ask for them apart.
create index clip_of_emotion on clip (emotion) where emotion is not null;
-- Parts that lists named before were not looked at: what is here of those videos is cut once more.
update job set state = 'open', attempt = 0, due_at = created_at, reason = null, detail = null, finished_at = null
where stage = 'cut' and state in ('done', 'rejected') and exists (
  select 1 from listed join video on video.id = listed.video_id and video.file_path is not null
  where listed.video_id = job.subject_id and (listed.start_ms is not null or listed.face is not null));
