-- videos::finished_sources; job_outcome, then video and job by primary key and unique (stage, subject_id). Files that
-- nobody needs any more: scanned, and cut or found to give no clip.
select video.id, file_path as "file_path!", coalesce(size_bytes, 0) as "size_bytes!: i64"
from job as cut
join video on video.id = cut.subject_id and video.file_path is not null
join job as look on look.stage = 'scan' and look.subject_id = video.id and look.state = 'done'
where cut.stage = 'cut' and cut.state in ('done', 'rejected')
order by video.id
