-- merge::finished; walks job_outcome for scans and cuts that have ended, the video by primary key. A video is
-- finished when its cut is, or when its scan ended without one. A cut that waits for its video's file is not: its clips
-- are lost.
select video.id as "video_id!", video.site, video.site_id, video.fetched_at, look.rev as "rev!", look.state as "look_state!",
  look.reason as look_reason, look.detail as look_detail, cut.state as "cut_state?", cut.reason as "cut_reason?",
  cut.detail as "cut_detail?", (
    select count(*) from listed
    where listed.video_id = video.id and (listed.start_ms is not null or listed.face is not null)
  ) as "parts!: i64"
from job as look
join video on video.id = look.subject_id
left join job as cut on cut.stage = 'cut' and cut.subject_id = look.subject_id
where look.stage = 'scan' and (
  look.state in ('rejected', 'dead')
  or (look.state = 'done' and cut.state in ('done', 'rejected', 'dead')
    and not (cut.state = 'rejected' and cut.reason = 'source-gone'))
)
order by video.site, video.site_id
