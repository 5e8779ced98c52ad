-- merge::lost; walks job_outcome for cuts that wait for their video's file, the video by primary key.
select video.site, video.site_id
from job as cut
join video on video.id = cut.subject_id
where cut.stage = 'cut' and cut.state = 'rejected' and cut.reason = 'source-gone'
